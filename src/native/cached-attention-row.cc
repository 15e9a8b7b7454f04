// Attention of one new token: the query heads of a key-value head over a part of what its sequence holds.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

#include "cached-attention.h"

namespace mixtune {

namespace {

/** Query heads that read a value together. */
constexpr int64_t kHeadsAtOnce = 4;

/** Lane i of the result is the sum of the lanes of rows[i]; rows is changed. */
template <int Half, int... Lane>
inline void sumPairs(Vec (&rows)[kLanes], std::integer_sequence<int, Lane...>) {
#pragma GCC unroll 16
  for (int i = 0; i < Half; i++) {
    const Vec a = rows[i], b = rows[i + Half];
    rows[i] = __builtin_shufflevector(a, b, (Lane & Half ? kLanes + Lane : Lane)...) +
              __builtin_shufflevector(a, b, (Lane & Half ? kLanes + Lane - Half : Lane + Half)...);
  }
}

template <int Half = kLanes / 2>
inline Vec sumsOfLanes(Vec (&rows)[kLanes]) {
  sumPairs<Half>(rows, std::make_integer_sequence<int, kLanes>());
  if constexpr (Half > 1) return sumsOfLanes<Half / 2>(rows);
  return rows[0];
}

/** kLanes units of a row, zero from `count` on. */
template <class Unit>
inline auto unitsFrom(const Unit* row, int64_t count) {
  if (count >= kLanes) return panelUnits(row);
  Unit part[kLanes] = {};
  std::memcpy(part, row, static_cast<size_t>(count) * sizeof(Unit));
  return panelUnits(part);
}

template <class Unit>
Vec dot(const Unit* a, const Unit* b, int64_t units) {
  Vec sum{};
  for (int64_t i = 0; i < units; i += kLanes) multiplyAdd(sum, unitsFrom(a + i, units - i), unitsFrom(b + i, units - i));
  return sum;
}

/** The same for kLanes rows b, in lane i for row i, with its lanes summed. */
template <class Unit>
Vec dots(const Unit* a, const Unit* b, int64_t units, int64_t stride) {
  Vec sums[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= units; i += kLanes) {
    const auto part = panelUnits(a + i);
#pragma GCC unroll 16
    for (int j = 0; j < kLanes; j++) multiplyAdd(sums[j], part, panelUnits(b + j * stride + i));
  }
  if (i < units) {
    const auto part = unitsFrom(a + i, units - i);
#pragma GCC unroll 16
    for (int j = 0; j < kLanes; j++) multiplyAdd(sums[j], part, unitsFrom(b + j * stride + i, units - i));
  }
  return sumsOfLanes(sums);
}

/** scores[k] = query · keys[k] for `count` keys of `units` units. */
template <class Unit>
void scoreKeys(const Unit* query, const Unit* keys, int64_t units, int64_t stride, int64_t count, float* scores) {
  int64_t k = 0;
  for (; k + kLanes <= count; k += kLanes) store(scores + k, dots(query, keys + k * stride, units, stride));
  for (; k < count; k++) scores[k] = sumOfLanes(dot(query, keys + k * stride, units));
}

/** exp(score − largest) of `count` scores as terms, filled up with zeros to whole vectors. */
template <class T>
Softmax exponentials(const float* scores, int64_t count, typename T::Unit* terms) {
  constexpr float lowest = -std::numeric_limits<float>::infinity();
  Vec best = splat(lowest), total{};
  const auto part = [&](int64_t i, float rest) {
    return i + kLanes <= count ? load(scores + i) : firstLanes(loadPart(scores + i, count - i), count - i, rest);
  };
  for (int64_t i = 0; i < count; i += kLanes) best = maximum(part(i, lowest), best);
  const float largest = maxOfLanes(best);
  for (int64_t i = 0; i < count; i += kLanes) {
    const Vec p = T::exponential(part(i, lowest) - largest);
    storeTerms<T>(terms, i, p);
    total += p;
  }
  return {largest, sumOfLanes(total)};
}

#if defined(__AVX512BF16__)
inline __m512bh pairUnits(VecBits pairs) { return (__m512bh)pairs; }
#else
VecBits pairUnits(VecBits pairs);  // operands have one term to a unit here
#endif

/** kLanes columns of one row of values, or of two neighbouring ones as pairs. */
template <class T>
inline auto valueUnits(const typename T::Unit* row, int64_t stride, int64_t column, int64_t count, bool pair) {
  if constexpr (T::kTerms == 1) {
    return headTerms<T>(row, column, count);
  } else {
    const VecBits even = (VecBits)headTerms<T>(row, column, count);
    const VecBits odd = pair ? (VecBits)headTerms<T>(row + stride, column, count) : VecBits{};
    return pairUnits((even >> 16) | odd);
  }
}

/** out[h] = Σ weights[h][k] · values[k] for Heads heads and Vecs vectors of the head's dimension from `column` on. */
template <class T, int Heads, int Vecs>
void sumValues(const typename T::Unit* weights, const typename T::Unit* values, int64_t stride, int64_t count,
               int64_t column, int64_t headDim, float* out) {
  Vec sums[Heads][Vecs] = {};
  const int64_t rest = headDim - column - (Vecs - 1) * kLanes;
  for (int64_t k = 0; k < count; k += T::kTerms) {
#pragma GCC unroll 4
    for (int v = 0; v < Vecs; v++) {
      const auto value = valueUnits<T>(values + k * stride, stride, column + v * kLanes, v + 1 < Vecs ? kLanes : rest,
                                       k + 1 < count);
#pragma GCC unroll 4
      for (int h = 0; h < Heads; h++)
        multiplyAdd(sums[h][v], broadcastUnit(weights[h * kPositionsAtOnce + k / T::kTerms]), value);
    }
  }
  for (int h = 0; h < Heads; h++)
    for (int v = 0; v < Vecs; v++) {
      float* to = out + h * headDim + column + v * kLanes;
      v + 1 < Vecs || rest >= kLanes ? store(to, sums[h][v]) : storePart(to, sums[h][v], rest);
    }
}

template <class T, int Heads>
void sumValuesOf(const typename T::Unit* weights, const typename T::Unit* values, int64_t stride, int64_t count,
                 int64_t headDim, float* out) {
  constexpr decltype(&sumValues<T, Heads, 1>) sums[] = {sumValues<T, Heads, 1>, sumValues<T, Heads, 2>,
                                                        sumValues<T, Heads, 3>, sumValues<T, Heads, 4>};
  for (int64_t column = 0; column < headDim; column += 4 * kLanes) {
    const int64_t vecs = std::min<int64_t>(divideUp(headDim - column, kLanes), 4);
    sums[vecs - 1](weights, values, stride, count, column, headDim, out);
  }
}

}  // namespace

template <class T>
void attendPositions(const Cache<T>& cache, int64_t from, int64_t count, int64_t group, const typename T::Unit* queries,
                     float* out, Softmax* softmaxes) {
  const int64_t headDim = cache.headDim, stride = cache.stride();
  float scores[kPositionsAtOnce];
  typename T::Unit weights[kHeadsAtOnce * kPositionsAtOnce];
  for (int64_t h = 0; h < group; h += kHeadsAtOnce) {
    const int64_t heads = std::min(group - h, kHeadsAtOnce);
    for (int64_t j = 0; j < heads; j++) {
      scoreKeys(queries + (h + j) * stride, cache.keys + from, cache.units(), stride, count, scores);
      softmaxes[h + j] = exponentials<T>(scores, count, weights + j * kPositionsAtOnce);
    }
    constexpr decltype(&sumValuesOf<T, 1>) sums[] = {sumValuesOf<T, 1>, sumValuesOf<T, 2>, sumValuesOf<T, 3>,
                                                     sumValuesOf<T, 4>};
    sums[heads - 1](weights, cache.values + from, stride, count, headDim, out + h * headDim);
  }
}

float joinParts(const float* sums, const Softmax* softmaxes, int64_t parts, int64_t apart, int64_t headDim, float* out) {
  float largest = softmaxes[0].largest, total = 0;
  for (int64_t i = 1; i < parts; i++) largest = std::max(largest, softmaxes[i * apart].largest);
  std::fill_n(out, headDim, 0.0f);
  for (int64_t i = 0; i < parts; i++) {
    const float factor = std::exp(softmaxes[i * apart].largest - largest);
    total += factor * softmaxes[i * apart].sum;
    const float* part = sums + i * apart * headDim;
    forEachVec(headDim, [&](int64_t d, auto load, auto store) { store(out + d, load(out + d) + load(part + d) * factor); });
  }
  return total;
}

#define MIXTUNE_INSTANTIATE(T)                                                                                  \
  template void attendPositions<T>(const Cache<T>&, int64_t, int64_t, int64_t, const T::Unit*, float*, Softmax*);
MIXTUNE_INSTANTIATE(Float)
MIXTUNE_INSTANTIATE(RoundedFloat)
#if defined(__AVX512BF16__)
MIXTUNE_INSTANTIATE(Bfloat16)
#endif
#undef MIXTUNE_INSTANTIATE

}  // namespace mixtune
