// Register tiles of matrix products: a few rows of the left operand against one panel of the right one.
#pragma once

#include <algorithm>
#include <cstdint>
#include <type_traits>

#include "registers/amx.h"

namespace mixtune {

/** Columns of a panel. */
constexpr int kPanel = 2 * kLanes;

/**
 * Number of rows for which the vector registers have accumulators, in addition to two for the panel and one for left.
 */
#if defined(__AVX512F__) || defined(__aarch64__)
constexpr int kVectorRows = 14;
#else
constexpr int kVectorRows = 6;
#endif

/** Maximum number of rows of a tile. */
template <class Unit>
constexpr int64_t kTileRows = kVectorRows;
#if MIXTUNE_AMX
template <>
constexpr int64_t kTileRows<uint32_t> = 2 * kAmxRows;
#endif

/** How a tile multiplies one unit of the inner dimension: a term in float. */
inline Vec panelUnits(const float* p) { return load(p); }
inline Vec broadcastUnit(float x) { return splat(x); }
inline void multiplyAdd(Vec& sum, Vec a, Vec b) { sum += a * b; }

#if defined(__AVX512BF16__)
/** The same for units of two neighbouring terms in bfloat16, summed in float. */
inline __m512bh panelUnits(const uint32_t* p) { return (__m512bh)loadBits(p); }
inline __m512bh broadcastUnit(uint32_t x) { return (__m512bh)_mm512_set1_epi32(static_cast<int>(x)); }
inline void multiplyAdd(Vec& sum, __m512bh a, __m512bh b) { sum = (Vec)_mm512_dpbf16_ps((__m512)sum, a, b); }
#endif

/** Number of units of kPanel terms. */
template <class Unit>
constexpr int64_t kPieceUnits = std::is_same_v<Unit, float> ? kPanel : kPanel / 2;

/**
 * The left operand: unit k of a row is at data[row · stride + k], or at data[k · stride + row] if read by column. For
 * tile registers, pieces of kPieceUnits units of a row may be `step` apart. Tiles take it by reference: a copy on the
 * stack would be stored in parts and loaded whole, which waits until the results of the previous tile have left the
 * store buffer (bench/LOG.md).
 */
template <class Unit>
struct Left {
  const Unit* data;
  int64_t stride;
  int64_t step = kPieceUnits<Unit>;

  Left from(int64_t row) const { return {data + row * stride, stride, step}; }
};

#if MIXTUNE_AMX
/** Rows of a left operand, and a panel, in the form for tile registers. */
inline AmxOperand amxRows(const Left<uint32_t>& left) {
  return {left.data, left.from(kAmxRows).data, left.stride, left.step};
}
inline AmxOperand amxPanel(const uint32_t* panel) { return {panel, panel + kAmxRows, kPanel, kAmxUnits * kPanel}; }
#endif

/**
 * out [rows, columns] (+)= left · panel for 1 to kTileRows rows and the first `columns` of the panel. Defined in
 * tiles.cc for each kind of unit.
 */
template <class Unit, bool ByColumn>
void multiplyTile(int64_t rows, int64_t depth, const Left<Unit>& left, const Unit* panel, float* out, int64_t outStride,
                  int columns, bool accumulate);

/** Height of all tiles but the last if `rows` are split into as few tiles as possible, of nearly equal height. */
template <class Unit>
int64_t tileHeight(int64_t rows) {
  const int64_t tiles = (rows + kTileRows<Unit> - 1) / kTileRows<Unit>;
  return tiles > 0 ? (rows + tiles - 1) / tiles : 1;
}

/**
 * Multiplies tiles of `height` rows with panels, which are panelStride units apart, on the calling thread:
 * out [rows, columns] (+)= left [rows, depth] · right [depth, columns]. Tiles of the left operand are tileStride units
 * apart.
 */
template <class Unit, bool ByColumn>
void multiplyPanels(int64_t rows, int64_t columns, int64_t depth, Left<Unit> left, const Unit* right,
                    int64_t panelStride, float* out, int64_t outStride, bool accumulate, int64_t height,
                    int64_t tileStride) {
  for (int64_t column = 0; column < columns; column += kPanel) {
    const int width = static_cast<int>(columns - column < kPanel ? columns - column : kPanel);
    const Unit* panel = right + column / kPanel * panelStride;
    const Unit* from = left.data;
    for (int64_t row = 0; row < rows; row += height, from += tileStride)
      multiplyTile<Unit, ByColumn>(std::min(height, rows - row), depth, {from, left.stride, left.step}, panel,
                                   out + row * outStride + column, outStride, width, accumulate);
  }
}

template <class Unit, bool ByColumn>
void multiplyPanels(int64_t rows, int64_t columns, int64_t depth, Left<Unit> left, const Unit* right,
                    int64_t panelStride, float* out, int64_t outStride, bool accumulate) {
  const int64_t height = tileHeight<Unit>(rows);
  multiplyPanels<Unit, ByColumn>(rows, columns, depth, left, right, panelStride, out, outStride, accumulate, height,
                                 ByColumn ? height : height * left.stride);
}

}  // namespace mixtune
