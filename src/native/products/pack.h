// Layouts of operands for the tiles of a matrix product, in one of three kinds of unit.
#pragma once

#include <algorithm>

#include "products/tiles.h"

namespace mixtune {

/** Operands as plain floats. */
struct Float {
  using Unit = float;
  /** Terms of the inner dimension in a unit. */
  static constexpr int64_t kTerms = 1;
  static Vec rounded(Vec x) { return x; }
  static Vec exponential(Vec x) { return mixtune::exponential(x); }
  static Vec sigmoid(Vec x) { return mixtune::sigmoid(x); }
};

/** Operands rounded to bfloat16 but kept as floats, for processors whose float products are faster. */
struct RoundedFloat {
  using Unit = float;
  static constexpr int64_t kTerms = 1;
  static Vec rounded(Vec x) { return (Vec)roundToBfloat16(x); }
  static Vec exponential(Vec x) { return mixtune::exponential(x); }
  static Vec sigmoid(Vec x) { return mixtune::sigmoid(x); }
};

/** Operands in bfloat16, with two terms per unit, for processors whose bfloat16 products are faster. */
struct Bfloat16 {
  using Unit = uint32_t;
  static constexpr int64_t kTerms = 2;
  static Vec rounded(Vec x) { return (Vec)roundToBfloat16(x); }
#if defined(__AVX512F__)
  static Vec exponential(Vec x) { return quickExponential(x); }
  static Vec sigmoid(Vec x) { return quickSigmoid(x); }
#endif
};

/** Expands make(kind) for each kind that this processor has, for explicit instantiations of templates. */
#if defined(__AVX512BF16__)
#define MIXTUNE_FOR_EACH_KIND(make) make(Float) make(RoundedFloat) make(Bfloat16)
#else
#define MIXTUNE_FOR_EACH_KIND(make) make(Float) make(RoundedFloat)
#endif

template <class T>
constexpr int64_t unitsOf(int64_t terms) {
  return (terms + T::kTerms - 1) / T::kTerms;
}

inline int64_t divideUp(int64_t a, int64_t b) { return (a + b - 1) / b; }

/** Number of units of a row padded to whole panels, so that stores need no tail. */
template <class T>
constexpr int64_t rowUnits(int64_t columns) {
  return (columns + kPanel - 1) / kPanel * kPanel / T::kTerms;
}

/**
 * Units from one panel to the next, with a cache line of padding so that panels do not collide in the same cache sets.
 */
inline int64_t panelStride(int64_t units, int64_t width = kPanel) { return units * width + 16; }

/** Total number of units of panels of `width` columns. */
inline int64_t panelsSize(int64_t units, int64_t columns, int64_t width = kPanel) {
  return (columns + width - 1) / width * panelStride(units, width);
}

/** Loads terms [column, column + kLanes) of a row of units; `column` must be even. */
template <class T>
inline Vec loadTerms(const typename T::Unit* row, int64_t column) {
  if constexpr (T::kTerms == 1) {
    return load(row + column);
  } else {
    return widened(loadHalves(reinterpret_cast<const uint16_t*>(row) + column));
  }
}

/** Loads the last `count` < kLanes terms of a row of units from `column`, with zeros beyond. */
template <class T>
inline Vec loadTerms(const typename T::Unit* row, int64_t column, int64_t count) {
  if constexpr (T::kTerms == 1) {
    return loadPart(row + column, count);
  } else {
    uint16_t terms[kLanes] = {};
    std::memcpy(terms, reinterpret_cast<const uint16_t*>(row) + column, static_cast<size_t>(count) * 2);
    return loadTerms<T>(reinterpret_cast<const uint32_t*>(terms), 0);
  }
}

#if defined(__AVX512BF16__)
inline VecHalf bfloat16Terms(Vec x) { return (VecHalf)_mm512_cvtneps_pbh((__m512)x); }
#else
inline VecHalf bfloat16Terms(Vec x) { return __builtin_convertvector(roundToBfloat16(x) >> 16, VecHalf); }
#endif

/** Converts 2 · kLanes neighbouring terms to units. */
inline VecBits bfloat16Neighbours(Vec first, Vec second) {
#if defined(__AVX512BF16__)
  return (VecBits)_mm512_cvtne2ps_pbh((__m512)second, (__m512)first);
#else
  const VecHalf terms[2] = {bfloat16Terms(first), bfloat16Terms(second)};
  return loadBits(terms);
#endif
}

template <class T>
inline void storeTerms(typename T::Unit* row, int64_t column, Vec x) {
  if constexpr (T::kTerms == 1)
    store(row + column, T::rounded(x));
  else
    storeHalves(reinterpret_cast<uint16_t*>(row) + column, bfloat16Terms(x));
}

/** Stores kPanel terms of a row that consists of whole panels. */
template <class T>
inline void storePanelTerms(typename T::Unit* row, int64_t column, Vec first, Vec second, bool streamed = false) {
  if constexpr (T::kTerms == 2) {
    // A single store of a whole line, because for half a line the rest would first be read from memory.
    storeLine(row + column / 2, bfloat16Neighbours(first, second), streamed);
  } else {
    storeTerms<T>(row, column, first);
    storeTerms<T>(row, column + kLanes, second);
  }
}

/** Stores the last `count` < kLanes terms of a row. Half a unit is padded with zero, which products rely on. */
template <class T>
inline void storeTerms(typename T::Unit* row, int64_t column, Vec x, int64_t count) {
  if (count <= 0) return;
  typename T::Unit whole[kLanes];
  storeTerms<T>(whole, 0, firstLanes(x, count, 0.0f));
  std::memcpy(row + column / T::kTerms, whole, static_cast<size_t>(unitsOf<T>(count)) * sizeof(*row));
}

/** Converts two rows of terms to one row of units that pair them, with the first in the lower half. */
#if defined(__AVX512BF16__)
inline VecBits bfloat16Pairs(Vec even, Vec odd) {
  const __m512i order = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6, 21,
                                         5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
  return (VecBits)_mm512_permutexvar_epi16(order, (__m512i)_mm512_cvtne2ps_pbh((__m512)odd, (__m512)even));
}
#else
inline VecBits bfloat16Pairs(Vec even, Vec odd) { return (roundToBfloat16(even) >> 16) | roundToBfloat16(odd); }
#endif

/**
 * A matrix [tokens, columns] laid out for products over its tokens: panels of `Width` columns, with units
 * [tokens][Width] each, `stride` units apart. With kLanes columns it can be a left and a right operand, with kPanel the
 * right operand of a tile.
 */
template <class T, int Width = kLanes>
struct TokenPanels {
  using Unit = typename T::Unit;
  Unit* data;
  int64_t stride;
  /** Whether it is written past the caches. */
  bool streamed = false;

  static int64_t strideOf(int64_t tokens) { return panelStride(unitsOf<T>(tokens + tokens % 2), Width); }
  static int64_t sizeOf(int64_t tokens, int64_t columns) { return (columns + Width - 1) / Width * strideOf(tokens); }

  /** Stores columns [column, column + kLanes) of tokens `token`, which is even, and `token` + 1. */
  void put(int64_t token, int64_t column, Vec even, Vec odd) const {
    Unit* to = data + column / Width * stride + token / T::kTerms * Width + column % Width;
    if constexpr (T::kTerms == 1) {
      storeLine(to, (VecBits)T::rounded(even), streamed);
      storeLine(to + Width, (VecBits)T::rounded(odd), streamed);
    } else {
      storeLine(to, bfloat16Pairs(even, odd), streamed);
    }
  }

  /** Stores units that already pair the tokens `token` and `token` + 1. */
  void putUnits(int64_t token, int64_t column, VecBits units) const {
    storeLine(data + column / Width * stride + token / T::kTerms * Width + column % Width, units, streamed);
  }
};

/** Converts a row of `depth` terms to units. */
template <class T>
void packRow(const float* source, int64_t depth, typename T::Unit* out);

/**
 * Packs a panel out[k][kPanel] whose inner dimension runs along rows of floats: term k of column i is
 * source[i · stride + k] in the first half of the panel, second[(i − kLanes) · stride + k] in the other.
 * The halves have `first` and `rest` columns; the others become zero.
 */
template <class T>
void packTransposed(const float* source, int64_t first, const float* second, int64_t rest, int64_t stride,
                    int64_t depth, typename T::Unit* out);

/**
 * Packs panels out[panel][k][width], `apart` units from each other, whose inner dimension runs across rows of floats:
 * term k of column panel · width + i is source[k · stride + panel · width + i]. Columns beyond `count` become zero.
 */
template <class T>
void packStraight(const float* source, int64_t stride, int64_t count, int64_t depth, int64_t width, int64_t apart,
                  typename T::Unit* out);

}  // namespace mixtune
