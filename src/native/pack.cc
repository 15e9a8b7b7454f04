#include "pack.h"

#include <cstring>
#include <utility>

namespace mixtune {

namespace {

/** The first kLanes units of a row that has `terms` terms left, zero beyond them; as bits. */
template <class T>
VecBits unitsAlong(const float* source, int64_t terms);

template <>
inline VecBits unitsAlong<Float>(const float* source, int64_t terms) {
  return (VecBits)(terms >= kLanes ? load(source) : loadPart(source, terms));
}

template <>
inline VecBits unitsAlong<RoundedFloat>(const float* source, int64_t terms) {
  return roundToBfloat16(terms >= kLanes ? load(source) : loadPart(source, terms));
}

template <>
inline VecBits unitsAlong<Bfloat16>(const float* source, int64_t terms) {
  const VecBits first = unitsAlong<RoundedFloat>(source, terms);
  const VecBits second = terms > kLanes ? unitsAlong<RoundedFloat>(source + kLanes, terms - kLanes) : VecBits{};
  uint16_t halves[2 * kLanes];
  *reinterpret_cast<UnalignedHalf*>(halves) = __builtin_convertvector(first >> 16, VecHalf);
  *reinterpret_cast<UnalignedHalf*>(halves + kLanes) = __builtin_convertvector(second >> 16, VecHalf);
  return loadBits(halves);
}

/** Units of kLanes columns: from one row, or from two neighbouring ones (`odd` is null where there is none). */
template <class T>
VecBits unitsAcross(const float* even, const float* odd);

template <>
inline VecBits unitsAcross<Float>(const float* even, const float*) {
  return (VecBits)load(even);
}

template <>
inline VecBits unitsAcross<RoundedFloat>(const float* even, const float*) {
  return roundToBfloat16(load(even));
}

template <>
inline VecBits unitsAcross<Bfloat16>(const float* even, const float* odd) {
  return bfloat16Pairs(load(even), odd ? load(odd) : Vec{});
}

/** Exchanges blocks of `Half` lanes between two rows: one step of a transpose. */
template <int Half, int... Lane>
inline void exchange(VecBits& a, VecBits& b, std::integer_sequence<int, Lane...>) {
  const VecBits first = __builtin_shufflevector(a, b, (Lane / Half % 2 == 0 ? Lane : kLanes + Lane - Half)...);
  b = __builtin_shufflevector(a, b, (Lane / Half % 2 == 0 ? Lane + Half : kLanes + Lane)...);
  a = first;
}

template <int Half>
inline void transposeFrom(VecBits (&rows)[kLanes]) {
#pragma GCC unroll 16
  for (int i = 0; i < kLanes; i++)
    if (i / Half % 2 == 0) exchange<Half>(rows[i], rows[i + Half], std::make_integer_sequence<int, kLanes>());
  if constexpr (Half > 1) transposeFrom<Half / 2>(rows);
}

}  // namespace

template <class T>
void packTransposed(const float* source, int64_t stride, int64_t count, int64_t depth, typename T::Unit* out) {
  const int64_t units = unitsOf<T>(depth);
  for (int64_t first = 0; first < kPanel; first += kLanes) {
    for (int64_t k = 0; k < units; k += kLanes) {
      VecBits rows[kLanes];
      for (int64_t i = 0; i < kLanes; i++)
        rows[i] = first + i < count
                      ? unitsAlong<T>(source + (first + i) * stride + k * T::kTerms, depth - k * T::kTerms)
                      : VecBits{};
      transposeFrom<kLanes / 2>(rows);
      for (int64_t j = 0; j < kLanes && k + j < units; j++) storeBits(out + (k + j) * kPanel + first, rows[j]);
    }
  }
}

template <class T>
void packStraight(const float* source, int64_t stride, int64_t count, int64_t depth, int64_t width,
                  typename T::Unit* out) {
  const int64_t units = unitsOf<T>(depth), apart = panelStride(units, width);
  constexpr int64_t kAhead = 16;  // rows: far enough to hide the way to memory
  for (int64_t k = 0; k < units; k++) {
    const float* even = source + k * T::kTerms * stride;
    const float* odd = k * T::kTerms + 1 < depth ? even + stride : nullptr;
    for (int64_t i = 0; i < count; i += 64 / sizeof(float)) __builtin_prefetch(even + i + kAhead * stride);
    typename T::Unit* to = out + k * width;
    for (int64_t first = 0; first < count; first += width, to += apart) {
      for (int64_t i = 0; i < width; i += kLanes)
        storeBits(to + i, unitsAcross<T>(even + first + i, odd ? odd + first + i : nullptr));
    }
  }
}

template <class T>
void packRow(const float* source, int64_t depth, typename T::Unit* out) {
  const int64_t units = unitsOf<T>(depth);
  for (int64_t k = 0; k < units; k += kLanes) {
    const VecBits part = unitsAlong<T>(source + k * T::kTerms, depth - k * T::kTerms);
    if (k + kLanes <= units)
      storeBits(out + k, part);
    else
      std::memcpy(out + k, &part, static_cast<size_t>(units - k) * sizeof(*out));
  }
}

#define MIXTUNE_INSTANTIATE(T)                                                               \
  template void packTransposed<T>(const float*, int64_t, int64_t, int64_t, T::Unit*);        \
  template void packStraight<T>(const float*, int64_t, int64_t, int64_t, int64_t, T::Unit*); \
  template void packRow<T>(const float*, int64_t, T::Unit*);
MIXTUNE_INSTANTIATE(Float)
MIXTUNE_INSTANTIATE(RoundedFloat)
#if defined(__AVX512BF16__)
MIXTUNE_INSTANTIATE(Bfloat16)
#endif
#undef MIXTUNE_INSTANTIATE

}  // namespace mixtune
