#include "products/pack.h"

#include <cstring>

#include "registers/transpose.h"

namespace mixtune {

namespace {

/** Loads kLanes units of a row. */
template <class T>
VecBits unitsAlong(const float* row) {
  if constexpr (T::kTerms == 1)
    return (VecBits)T::rounded(load(row));
  else
    return bfloat16Neighbours(load(row), load(row + kLanes));
}

/** Loads kLanes units of a row of which only `terms` terms are left, with zeros beyond. */
template <class T>
VecBits unitsAlong(const float* row, int64_t terms) {
  float whole[kLanes * T::kTerms] = {};
  if (terms > 0) std::memcpy(whole, row, static_cast<size_t>(std::min(terms, kLanes * T::kTerms)) * sizeof(float));
  return unitsAlong<T>(whole);
}

/** Units of kLanes columns, from one row or from two neighbouring rows. */
template <class T>
VecBits unitsAcross(Vec even, Vec odd) {
  if constexpr (T::kTerms == 1)
    return (VecBits)T::rounded(even);
  else
    return bfloat16Pairs(even, odd);
}

/** The last `left` < kLanes elements of a row, with zeros beyond, or all zeros without a row. */
Vec partOf(const float* row, int64_t column, int64_t left) {
  return row && left > 0 ? loadPart(row + column, left) : Vec{};
}

/** Packs kLanes columns of a panel, of which `count` exist. */
template <class T>
void packHalf(const float* source, int64_t count, int64_t stride, int64_t depth, typename T::Unit* out) {
  const int64_t units = unitsOf<T>(depth);
  constexpr int64_t kTerms = kLanes * T::kTerms;
  constexpr int64_t kAhead = 2 * kLanes;  // rows: the same half of the next panel
  int64_t k = 0;
  for (; count == kLanes && k + kTerms <= depth; k += kTerms, out += kLanes * kPanel) {
    VecBits rows[kLanes];
#pragma GCC unroll 16
    for (int64_t i = 0; i < kLanes; i++) {
      const float* row = source + i * stride + k;
      for (int64_t line = 0; line < kTerms; line += 64 / sizeof(float))
        __builtin_prefetch(row + kAhead * stride + line);
      rows[i] = unitsAlong<T>(row);
    }
    transpose(rows);
#pragma GCC unroll 16
    for (int64_t j = 0; j < kLanes; j++) storeBits(out + j * kPanel, rows[j]);
  }
  for (; k < depth; k += kTerms, out += kLanes * kPanel) {
    VecBits rows[kLanes] = {};
    for (int64_t i = 0; i < count; i++) rows[i] = unitsAlong<T>(source + i * stride + k, depth - k);
    transpose(rows);
    for (int64_t j = 0; j < std::min<int64_t>(kLanes, units - k / T::kTerms); j++) storeBits(out + j * kPanel, rows[j]);
  }
}

}  // namespace

template <class T>
void packTransposed(const float* source, int64_t first, const float* second, int64_t rest, int64_t stride,
                    int64_t depth, typename T::Unit* out) {
  packHalf<T>(source, first, stride, depth, out);
  packHalf<T>(second, rest, stride, depth, out + kLanes);
}

template <class T>
void packStraight(const float* source, int64_t stride, int64_t count, int64_t depth, int64_t width, int64_t apart,
                  typename T::Unit* out) {
  const int64_t units = unitsOf<T>(depth);
  constexpr int64_t kAhead = 16;  // rows: far enough to hide the latency of memory
  for (int64_t k = 0; k < units; k++) {
    const float* even = source + k * T::kTerms * stride;
    const float* odd = k * T::kTerms + 1 < depth ? even + stride : nullptr;
    for (int64_t i = 0; i < count; i += 64 / sizeof(float)) __builtin_prefetch(even + i + kAhead * stride);
    typename T::Unit* to = out + k * width;
    for (int64_t first = 0; first < count; first += width, to += apart) {
      for (int64_t i = 0; i < width; i += kLanes) {
        const int64_t column = first + i, left = count - column;
        storeBits(to + i, left >= kLanes ? unitsAcross<T>(load(even + column), odd ? load(odd + column) : Vec{})
                                         : unitsAcross<T>(partOf(even, column, left), partOf(odd, column, left)));
      }
    }
  }
}

template <class T>
void packRow(const float* source, int64_t depth, typename T::Unit* out) {
  int64_t k = 0;
  for (; k + kLanes <= depth; k += kLanes) storeTerms<T>(out, k, load(source + k));
  if (k < depth) storeTerms<T>(out, k, loadPart(source + k, depth - k), depth - k);
}

#define MIXTUNE_INSTANTIATE(T)                                                                               \
  template void packTransposed<T>(const float*, int64_t, const float*, int64_t, int64_t, int64_t, T::Unit*); \
  template void packStraight<T>(const float*, int64_t, int64_t, int64_t, int64_t, int64_t, T::Unit*);        \
  template void packRow<T>(const float*, int64_t, T::Unit*);
MIXTUNE_FOR_EACH_KIND(MIXTUNE_INSTANTIATE)
#undef MIXTUNE_INSTANTIATE

}  // namespace mixtune
