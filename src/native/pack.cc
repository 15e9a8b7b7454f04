#include "pack.h"

#include <cstring>

#include "transpose.h"

namespace mixtune {

namespace {

/** The first kLanes units of a row that has `terms` terms left, zero beyond them; as bits. */
template <class T>
VecBits unitsAlong(const float* source, int64_t terms) {
  const Vec first = terms >= kLanes ? load(source) : loadPart(source, std::max<int64_t>(terms, 0));
  if constexpr (T::kTerms == 1) {
    return (VecBits)T::rounded(first);
  } else {
    const int64_t left = terms - kLanes;
    const Vec second = left >= kLanes ? load(source + kLanes) : loadPart(source + kLanes, std::max<int64_t>(left, 0));
    typename T::Unit units[kLanes];
    storeTerms<T>(units, 0, first);
    storeTerms<T>(units, kLanes, second);
    return loadBits(units);
  }
}

/** Units of kLanes columns: from one row, or from two neighbouring ones. */
template <class T>
VecBits unitsAcross(Vec even, Vec odd) {
  if constexpr (T::kTerms == 1)
    return (VecBits)T::rounded(even);
  else
    return bfloat16Pairs(even, odd);
}

/** The last `left` < kLanes elements of a row, zero beyond and where there is no row. */
Vec partOf(const float* row, int64_t column, int64_t left) {
  return row && left > 0 ? loadPart(row + column, left) : Vec{};
}

/** kLanes columns of a panel, of which `count` exist. */
template <class T>
void packHalf(const float* source, int64_t count, int64_t stride, int64_t depth, typename T::Unit* out) {
  const int64_t units = unitsOf<T>(depth);
  constexpr int64_t kAhead = 256;  // floats
  for (int64_t k = 0; k < units; k += kLanes) {
    VecBits rows[kLanes];
    for (int64_t i = 0; i < count; i++)
      for (int64_t line = 0; line < kLanes * T::kTerms; line += 64 / sizeof(float))
        __builtin_prefetch(source + i * stride + k * T::kTerms + kAhead + line);
    for (int64_t i = 0; i < kLanes; i++)
      rows[i] = i < count ? unitsAlong<T>(source + i * stride + k * T::kTerms, depth - k * T::kTerms) : VecBits{};
    transpose(rows);
    for (int64_t j = 0; j < kLanes && k + j < units; j++) storeBits(out + (k + j) * kPanel, rows[j]);
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
  constexpr int64_t kAhead = 16;  // rows: far enough to hide the way to memory
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

#define MIXTUNE_INSTANTIATE(T)                                                                                     \
  template void packTransposed<T>(const float*, int64_t, const float*, int64_t, int64_t, int64_t, T::Unit*);       \
  template void packStraight<T>(const float*, int64_t, int64_t, int64_t, int64_t, int64_t, T::Unit*);              \
  template void packRow<T>(const float*, int64_t, T::Unit*);
MIXTUNE_FOR_EACH_KIND(MIXTUNE_INSTANTIATE)
#undef MIXTUNE_INSTANTIATE

}  // namespace mixtune
