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

/** Operands in float: one term of the inner dimension to a unit. */
struct Float {
  using Unit = float;
  static constexpr int64_t kTerms = 1;
  struct Operand {
    Vec value;
  };
  static Operand panel(const Unit* p) { return {load(p)}; }
  static Operand broadcast(Unit x) { return {splat(x)}; }
  static void step(Vec& sum, Operand a, Operand b) { sum += a.value * b.value; }
};

/** Operands rounded to bfloat16: two neighbouring terms of the inner dimension to a unit, sums in float. */
struct Bfloat16 {
  using Unit = uint32_t;
  static constexpr int64_t kTerms = 2;
#if defined(__AVX512BF16__)
  struct Operand {
    __m512bh value;
  };
  static Operand panel(const Unit* p) { return {(__m512bh)loadBits(p)}; }
  static Operand broadcast(Unit x) { return {(__m512bh)_mm512_set1_epi32(static_cast<int>(x))}; }
  static void step(Vec& sum, Operand a, Operand b) { sum = (Vec)_mm512_dpbf16_ps((__m512)sum, a.value, b.value); }
#else
  struct Operand {
    Vec even, odd;
  };
  static Operand panel(const Unit* p) { return split(loadBits(p)); }
  static Operand broadcast(Unit x) { return split(x - VecBits{}); }
  static Operand split(VecBits pairs) { return {(Vec)(pairs << 16), (Vec)(pairs & 0xffff0000u)}; }
  static void step(Vec& sum, Operand a, Operand b) { sum = sum + a.even * b.even + a.odd * b.odd; }
#endif
};

/** The left operand of a tile: element (row, k) is at data[row · stride + k], or at data[k · stride + row] `byColumn`. */
template <class T>
struct Left {
  const typename T::Unit* data;
  int64_t stride;
};

template <class T, int Rows, bool ByColumn>
void tile(int64_t depth, Left<T> left, const typename T::Unit* panel, float* out, int64_t outStride, int columns, bool accumulate) {
  Vec sum[Rows][2];
  for (int r = 0; r < Rows; r++) sum[r][0] = sum[r][1] = Vec{};
  const typename T::Unit* a = left.data;
  for (int64_t k = 0; k < depth; k++) {
    const typename T::Operand b0 = T::panel(panel), b1 = T::panel(panel + kLanes);
#pragma GCC unroll 16
    for (int r = 0; r < Rows; r++) {
      const typename T::Operand value = T::broadcast(a[ByColumn ? r : r * left.stride]);
      T::step(sum[r][0], value, b0);
      T::step(sum[r][1], value, b1);
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

template <class T>
using TileFunction = void (*)(int64_t, Left<T>, const typename T::Unit*, float*, int64_t, int, bool);

/** The tile for 1 to kTileRows rows. Defined in tiles.cc for both kinds of operand. */
template <class T, bool ByColumn>
TileFunction<T> tileOf(int64_t rows);

/** Rows of each tile but the last when `rows` are split into as few tiles as possible of nearly equal height. */
inline int64_t tileHeight(int64_t rows) {
  const int64_t tiles = (rows + kTileRows - 1) / kTileRows;
  return tiles > 0 ? (rows + tiles - 1) / tiles : 1;
}

/**
 * Rows of `left` against `panels` panels of `right` (panelStride units apart), on the calling thread:
 * out[rows][columns] (+)= left · right. `columns` ≤ panels · kPanel.
 */
template <class T, bool ByColumn>
void multiplyPanels(int64_t rows, int64_t columns, int64_t depth, Left<T> left, const typename T::Unit* right,
                    int64_t panelStride, float* out, int64_t outStride, bool accumulate) {
  const int64_t height = tileHeight(rows);
  const TileFunction<T> whole = tileOf<T, ByColumn>(height);
  const TileFunction<T> last = rows % height ? tileOf<T, ByColumn>(rows % height) : whole;
  for (int64_t column = 0; column < columns; column += kPanel) {
    const int width = static_cast<int>(columns - column < kPanel ? columns - column : kPanel);
    const typename T::Unit* panel = right + column / kPanel * panelStride;
    for (int64_t row = 0; row < rows; row += height) {
      const Left<T> part{left.data + (ByColumn ? row : row * left.stride), left.stride};
      (row + height <= rows ? whole : last)(depth, part, panel, out + row * outStride + column, outStride, width, accumulate);
    }
  }
}

}  // namespace mixtune
