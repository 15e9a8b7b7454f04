#include "pack.h"

#include <cstring>

namespace mixtune {

namespace {

/** Interleaves two rows of `count` terms, the second one absent (zero) when null. */
void pairRows(const float* even, const float* odd, int64_t count, uint32_t* out) {
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) storeBits(out + i, bfloat16Pairs(load(even + i), odd ? load(odd + i) : Vec{}));
  for (; i < count; i++) out[i] = bfloat16Pair(even[i], odd ? odd[i] : 0.0f);
}

}  // namespace

void packRow(const float* source, int64_t depth, uint32_t* out) {
  uint16_t* halves = reinterpret_cast<uint16_t*>(out);
  int64_t k = 0;
  for (; k + kLanes <= depth; k += kLanes) {
    const VecHalf rounded = __builtin_convertvector(roundToBfloat16(load(source + k)) >> 16, VecHalf);
    *reinterpret_cast<UnalignedHalf*>(halves + k) = rounded;
  }
  for (; k < depth; k++) halves[k] = static_cast<uint16_t>(roundToBfloat16(source[k]) >> 16);
  if (depth % 2) halves[depth] = 0;
}

template <>
void packTransposed<Float>(const float* source, int64_t stride, int64_t count, int64_t depth, int64_t width, float* out) {
  if (count < width) std::memset(out, 0, static_cast<size_t>(depth * width) * sizeof(float));
  constexpr int64_t kBlock = 16;
  for (int64_t first = 0; first < depth; first += kBlock) {
    const int64_t end = first + kBlock < depth ? first + kBlock : depth;
    for (int64_t i = 0; i < count; i++)
      for (int64_t k = first; k < end; k++) out[k * width + i] = source[i * stride + k];
  }
}

template <>
void packTransposed<Bfloat16>(const float* source, int64_t stride, int64_t count, int64_t depth, int64_t width, uint32_t* out) {
  constexpr int64_t kBlock = 32;
  const int64_t units = unitsOf<Bfloat16>(depth);
  if (count < width) std::memset(out, 0, static_cast<size_t>(units * width) * sizeof(uint32_t));
  for (int64_t first = 0; first < depth; first += kBlock) {
    const int64_t terms = first + kBlock < depth ? kBlock : depth - first;
    for (int64_t i = 0; i < count; i++) {
      uint32_t row[kBlock / 2];
      packRow(source + i * stride + first, terms, row);
      for (int64_t unit = 0; unit < unitsOf<Bfloat16>(terms); unit++) out[(first / 2 + unit) * width + i] = row[unit];
    }
  }
}

template <>
void packStraight<Float>(const float* source, int64_t stride, int64_t count, int64_t depth, int64_t width, float* out) {
  for (int64_t k = 0; k < depth; k++) {
    std::memcpy(out + k * width, source + k * stride, static_cast<size_t>(count) * sizeof(float));
    if (count < width) std::memset(out + k * width + count, 0, static_cast<size_t>(width - count) * sizeof(float));
  }
}

template <>
void packStraight<Bfloat16>(const float* source, int64_t stride, int64_t count, int64_t depth, int64_t width, uint32_t* out) {
  for (int64_t k = 0; k < depth; k += 2) {
    uint32_t* to = out + k / 2 * width;
    pairRows(source + k * stride, k + 1 < depth ? source + (k + 1) * stride : nullptr, count, to);
    if (count < width) std::memset(to + count, 0, static_cast<size_t>(width - count) * sizeof(uint32_t));
  }
}

}  // namespace mixtune
