// Vector types that the compiler lowers to AVX-512, AVX2 or NEON, and the arithmetic that the kernels share.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <utility>

#if defined(__AVX512F__)
#include <immintrin.h>
#endif

namespace mixtune {

#if defined(__AVX512F__)
constexpr int kLanes = 16;
#elif defined(__AVX__)
constexpr int kLanes = 8;
#else
constexpr int kLanes = 4;
#endif

typedef float Vec __attribute__((vector_size(kLanes * 4)));
typedef int32_t VecInt __attribute__((vector_size(kLanes * 4)));
typedef uint32_t VecBits __attribute__((vector_size(kLanes * 4)));
typedef uint16_t VecHalf __attribute__((vector_size(kLanes * 2)));

typedef float UnalignedVec __attribute__((vector_size(kLanes * 4), aligned(4), may_alias));
typedef uint32_t UnalignedBits __attribute__((vector_size(kLanes * 4), aligned(4), may_alias));
typedef uint16_t UnalignedHalf __attribute__((vector_size(kLanes * 2), aligned(2), may_alias));

inline Vec load(const float* p) { return *reinterpret_cast<const UnalignedVec*>(p); }
inline void store(float* p, Vec v) { *reinterpret_cast<UnalignedVec*>(p) = v; }
inline VecBits loadBits(const void* p) { return *static_cast<const UnalignedBits*>(p); }
inline void storeBits(void* p, VecBits v) { *static_cast<UnalignedBits*>(p) = v; }
inline VecHalf loadHalves(const uint16_t* p) { return *reinterpret_cast<const UnalignedHalf*>(p); }
inline void storeHalves(uint16_t* p, VecHalf v) { *reinterpret_cast<UnalignedHalf*>(p) = v; }

/**
 * Whether an array is so large that writes to it should bypass the caches: Intel's server processors otherwise read
 * each line from memory before they write it (bench/LOG.md). Other processors gain nothing from it.
 */
constexpr bool leavesCaches(int64_t bytes) {
#if defined(__AMX_BF16__)
  return bytes >= 2 << 20;
#else
  return bytes < 0;
#endif
}

/** Writes a whole aligned line. If `streamed`, it bypasses the caches, and other threads see it after finishStreams. */
inline void storeLine(void* p, VecBits v, bool streamed) {
#if defined(__AMX_BF16__)
  if (streamed) return _mm512_stream_si512(static_cast<__m512i*>(p), (__m512i)v);
#endif
  (void)streamed;
  storeBits(p, v);
}

inline void finishStreams() {
#if defined(__AMX_BF16__)
  _mm_sfence();
#endif
}

/** x in every lane (subtracting zero preserves NaN and the sign of zero). */
inline Vec splat(float x) { return x - Vec{}; }

/** Loads `count` < kLanes elements; the other lanes are zero. */
inline Vec loadPart(const float* p, int64_t count) {
  Vec v{};
  std::memcpy(&v, p, static_cast<size_t>(count) * sizeof(float));
  return v;
}

inline void storePart(float* p, Vec v, int64_t count) {
  std::memcpy(p, &v, static_cast<size_t>(count) * sizeof(float));
}

/** Floats from their upper halves, that is, from bfloat16. */
inline Vec widened(VecHalf x) {
#if defined(__AVX512F__)
  return (Vec)_mm512_slli_epi32(_mm512_cvtepu16_epi32((__m256i)x), 16);
#else
  return (Vec)(__builtin_convertvector(x, VecBits) << 16);
#endif
}

/** Whether a comparison holds in any lane. */
inline bool anyLane(VecInt condition) {
#if defined(__AVX512F__)
  return _mm512_test_epi32_mask((__m512i)condition, (__m512i)condition) != 0;
#else
  int32_t any = 0;
  for (int i = 0; i < kLanes; i++) any |= condition[i];
  return any != 0;
#endif
}

inline Vec maximum(Vec a, Vec b) { return a > b ? a : b; }

/** v with lanes i and i xor Half exchanged. */
template <int Half, int... Lane>
inline Vec exchanged(Vec v, std::integer_sequence<int, Lane...>) {
  return __builtin_shufflevector(v, v, (Lane ^ Half)...);
}

/** Combines all lanes, always in the same tree; every lane holds the result. */
template <int Half = kLanes / 2, class Combine>
inline Vec acrossLanes(Vec v, const Combine& combine) {
  v = combine(v, exchanged<Half>(v, std::make_integer_sequence<int, kLanes>()));
  if constexpr (Half > 1)
    return acrossLanes<Half / 2>(v, combine);
  else
    return v;
}

inline float sumOfLanes(Vec v) {
  return acrossLanes(v, [](Vec a, Vec b) { return a + b; })[0];
}

inline float maxOfLanes(Vec v) { return acrossLanes(v, maximum)[0]; }

/** x in the first `count` lanes, `rest` in the others. */
inline Vec firstLanes(Vec x, int64_t count, float rest) {
  VecInt lane;
  for (int i = 0; i < kLanes; i++) lane[i] = i;
  return lane < static_cast<int32_t>(count) ? x : splat(rest);
}

/**
 * Runs body(offset, load, store) over `count` elements: whole vectors, then the tail through partial loads and stores.
 */
template <class Body>
inline void forEachVec(int64_t count, const Body& body) {
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) body(i, load, store);
  if (i < count) {
    const int64_t rest = count - i;
    body(i, [rest](const float* p) { return loadPart(p, rest); }, [rest](float* p, Vec v) { storePart(p, v, rest); });
  }
}

/** x limited to [low, high]; NaN stays NaN. */
inline Vec clamp(Vec x, float low, float high) {
#if defined(__AVX512F__)
  return (Vec)_mm512_max_ps(_mm512_set1_ps(low), _mm512_min_ps(_mm512_set1_ps(high), (__m512)x));
#else
  const Vec lows = splat(low), highs = splat(high);
  x = x > highs ? highs : x;
  return x < lows ? lows : x;
#endif
}

/** x · 2ⁿ for whole n, even if 2ⁿ itself is not representable as a float. */
inline Vec scaleByPowerOfTwo(Vec x, Vec n) {
#if defined(__AVX512F__)
  return (Vec)_mm512_scalef_ps((__m512)x, (__m512)n);
#else
  const VecInt exponent = __builtin_convertvector(n, VecInt);
  const VecInt half = exponent >> 1;
  return x * (Vec)((half + 127) << 23) * (Vec)((exponent - half + 127) << 23);
#endif
}

/**
 * eˣ with a relative error of about 1e-7; 0 for results below the smallest normal number, infinity for those above the
 * largest, NaN for NaN.
 */
inline Vec exponential(Vec x) {
  x = clamp(x, -104.0f, 90.0f);
  const Vec magic = splat(12582912.0f);
  const Vec n = (x * 1.44269504088896341f + magic) - magic;
  Vec r = x - n * 0.693359375f;
  r = r + n * 2.12194440e-4f;
  Vec p = splat(1.9875691500e-4f);
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * (r * r) + r + 1.0f;
  return scaleByPowerOfTwo(p, n);
}

#if defined(__AVX512F__)
/**
 * eˣ with a relative error of 4e-6 + 4e-8 · |x|, in less than two thirds of the instructions of `exponential`; for
 * results that are rounded to bfloat16 anyway.
 */
inline Vec quickExponential(Vec x) {
  const Vec t = x * 1.44269504088896341f;
  const Vec n = (Vec)_mm512_roundscale_ps((__m512)t, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  const Vec f = t - n;  // 2^f for |f| ≤ ½: the polynomial 1 + … with the smallest relative error
  Vec p = splat(9.7829125623e-3f);
  p = p * f + 5.5976883632e-2f;
  p = p * f + 2.4020711079e-1f;
  p = p * f + 6.9311360440e-1f;
  p = p * f + 1.0f;
  return scaleByPowerOfTwo(p, n);
}

/** 1 / (1 + e⁻ˣ) with a relative error of 7e-5. */
inline Vec quickSigmoid(Vec x) { return (Vec)_mm512_rcp14_ps((__m512)(1.0f + quickExponential(-x))); }
#endif

inline Vec squareRoot(Vec x) {
  for (int i = 0; i < kLanes; i++) x[i] = std::sqrt(x[i]);  // compilers turn the loop into one instruction
  return x;
}

/** Natural logarithm with a relative error of about 1e-7 (Cephes logf); −infinity for 0, NaN for negative numbers. */
inline Vec logarithm(Vec x) {
  const VecInt bits = (VecInt)x;
  Vec exponent = __builtin_convertvector(((bits >> 23) & 255) - 126, Vec);
  Vec m = (Vec)((bits & 0x007fffff) | 0x3f000000);
  const VecInt small = m < 0.707106781186547524f;
  exponent = small ? exponent - 1.0f : exponent;
  m = (small ? m + m : m) - 1.0f;
  const Vec square = m * m;
  Vec p = splat(7.0376836292e-2f);
  p = p * m - 1.1514610310e-1f;
  p = p * m + 1.1676998740e-1f;
  p = p * m - 1.2420140846e-1f;
  p = p * m + 1.4249322787e-1f;
  p = p * m - 1.6668057665e-1f;
  p = p * m + 2.0000714765e-1f;
  p = p * m - 2.4999993993e-1f;
  p = p * m + 3.3333331174e-1f;
  Vec y = m * square * p;
  y = y - exponent * 2.12194440e-4f - 0.5f * square;
  y = m + y + exponent * 0.693359375f;
  const float infinity = std::numeric_limits<float>::infinity();
  y = x == infinity ? x : y;
  y = x > 0.0f ? y : splat(std::numeric_limits<float>::quiet_NaN());
  return x == 0.0f ? splat(-infinity) : y;
}

inline Vec sigmoid(Vec x) { return 1.0f / (1.0f + exponential(-x)); }

/** x rounded to bfloat16 (to nearest, ties to even; NaN stays NaN), as the bits of a float whose lower half is zero. */
inline VecBits roundToBfloat16(Vec x) {
  const VecBits bits = (VecBits)x;
  const VecBits rounded = bits + (((bits >> 16) & 1u) + 0x7fffu);
  const VecBits isNumber = (VecBits)(x == x);
  return (isNumber & rounded & 0xffff0000u) | (~isNumber & 0x7fc00000u);
}

}  // namespace mixtune
