// Register tiles of matrix products: a few rows of the left operand against one panel of the right one.
#pragma once

#include <cstdint>

#include "simd.h"

namespace mixtune {

/** Columns of a panel. */
constexpr int kPanel = 2 * kLanes;

/** Most rows of a tile: as many accumulators as registers allow beside two of the panel and one of the left operand. */
#if defined(__AVX512F__) || defined(__aarch64__)
constexpr int kTileRows = 14;
#else
constexpr int kTileRows = 6;
#endif

/** What a tile does with one unit of the inner dimension: one term in float. */
inline Vec panelUnits(const float* p) { return load(p); }
inline Vec broadcastUnit(float x) { return splat(x); }
inline void multiplyAdd(Vec& sum, Vec a, Vec b) { sum += a * b; }

#if defined(__AVX512BF16__)
/** Or two neighbouring terms in bfloat16, summed in float. */
inline __m512bh panelUnits(const uint32_t* p) { return (__m512bh)loadBits(p); }
inline __m512bh broadcastUnit(uint32_t x) { return (__m512bh)_mm512_set1_epi32(static_cast<int>(x)); }
inline void multiplyAdd(Vec& sum, __m512bh a, __m512bh b) { sum = (Vec)_mm512_dpbf16_ps((__m512)sum, a, b); }
#endif

/** The left operand: unit k of a row is at data[row · stride + k], or at data[k · stride + row] where `byColumn`. */
template <class Unit>
struct Left {
  const Unit* data;
  int64_t stride;
};

template <class Unit, int Rows, bool ByColumn>
void tile(int64_t depth, Left<Unit> left, const Unit* panel, float* out, int64_t outStride, int columns,
          bool accumulate) {
  Vec sum[Rows][2];
  for (int r = 0; r < Rows; r++) sum[r][0] = sum[r][1] = Vec{};
  const Unit* a = left.data;
  for (int64_t k = 0; k < depth; k++) {
    const auto b0 = panelUnits(panel), b1 = panelUnits(panel + kLanes);
#pragma GCC unroll 16
    for (int r = 0; r < Rows; r++) {
      const auto value = broadcastUnit(a[ByColumn ? r : r * left.stride]);
      multiplyAdd(sum[r][0], value, b0);
      multiplyAdd(sum[r][1], value, b1);
    }
    panel += kPanel;
    a += ByColumn ? left.stride : 1;
  }
  for (int r = 0; r < Rows; r++) {
    float* to = out + r * outStride;
    if (columns == kPanel) {
      store(to, accumulate ? load(to) + sum[r][0] : sum[r][0]);
      store(to + kLanes, accumulate ? load(to + kLanes) + sum[r][1] : sum[r][1]);
    } else {
      float whole[kPanel];
      store(whole, sum[r][0]);
      store(whole + kLanes, sum[r][1]);
      for (int i = 0; i < columns; i++) to[i] = accumulate ? to[i] + whole[i] : whole[i];
    }
  }
}

template <class Unit>
using TileFunction = void (*)(int64_t, Left<Unit>, const Unit*, float*, int64_t, int, bool);

/** The tile for 1 to kTileRows rows. Defined in tiles.cc for each kind of unit. */
template <class Unit, bool ByColumn>
TileFunction<Unit> tileOf(int64_t rows);

/** Rows of each tile but the last when `rows` are split into as few tiles as possible of nearly equal height. */
inline int64_t tileHeight(int64_t rows) {
  const int64_t tiles = (rows + kTileRows - 1) / kTileRows;
  return tiles > 0 ? (rows + tiles - 1) / tiles : 1;
}

/**
 * Tiles of `height` rows against panels (panelStride units apart), on the calling thread:
 * out [rows, columns] (+)= left [rows, depth] · right [depth, columns]. A left operand by column whose tiles lie one
 * behind the other (tileStride units apart) rather than side by side says so.
 */
template <class Unit, bool ByColumn>
void multiplyPanels(int64_t rows, int64_t columns, int64_t depth, Left<Unit> left, const Unit* right,
                    int64_t panelStride, float* out, int64_t outStride, bool accumulate, int64_t height,
                    int64_t tileStride) {
  const TileFunction<Unit> whole = tileOf<Unit, ByColumn>(height);
  const TileFunction<Unit> last = rows % height ? tileOf<Unit, ByColumn>(rows % height) : whole;
  for (int64_t column = 0; column < columns; column += kPanel) {
    const int width = static_cast<int>(columns - column < kPanel ? columns - column : kPanel);
    const Unit* panel = right + column / kPanel * panelStride;
    const Unit* from = left.data;
    for (int64_t row = 0; row < rows; row += height, from += tileStride)
      (row + height <= rows ? whole : last)(depth, {from, left.stride}, panel, out + row * outStride + column,
                                            outStride, width, accumulate);
  }
}

template <class Unit, bool ByColumn>
void multiplyPanels(int64_t rows, int64_t columns, int64_t depth, Left<Unit> left, const Unit* right,
                    int64_t panelStride, float* out, int64_t outStride, bool accumulate) {
  const int64_t height = tileHeight(rows);
  multiplyPanels<Unit, ByColumn>(rows, columns, depth, left, right, panelStride, out, outStride, accumulate, height,
                                 ByColumn ? height : height * left.stride);
}

}  // namespace mixtune
