// Attention of one new token: the query heads of a key-value head over some of the cached positions of its sequence.
#include <algorithm>
#include <cmath>
#include <limits>

#include "decoding/cached-attention.h"

namespace mixtune {

namespace {

/** Number of query heads that share each read of a value. */
constexpr int64_t kHeadsAtOnce = 4;

/**
 * Prefetches the first lines of a stretch that will be read in order; the processor's own prefetcher does the rest.
 * Prefetching all of it would keep that from starting (bench/LOG.md).
 */
inline void prefetchBeginning(const void* from) {
  constexpr int64_t kBytes = 24 * 64;
  for (int64_t i = 0; i < kBytes; i += 64) __builtin_prefetch(static_cast<const char*>(from) + i);
}

/**
 * scores[h][position] = query h · key for Heads queries, `queryStride` units apart, and Panels neighbouring panels of
 * keys: enough independent sums that one rarely waits for the previous one.
 */
template <class T, int Heads, int Panels>
void scorePanels(const typename T::Unit* queries, int64_t queryStride, const typename T::Unit* keys, int64_t keyStride,
                 int64_t units, float* scores) {
  Vec sums[Panels][2][Heads] = {};
  for (int64_t k = 0; k < units; k++) {
    decltype(broadcastUnit(queries[0])) query[Heads];
#pragma GCC unroll 4
    for (int h = 0; h < Heads; h++) query[h] = broadcastUnit(queries[h * queryStride + k]);
#pragma GCC unroll 8
    for (int p = 0; p < Panels; p++)
#pragma GCC unroll 2
      for (int half = 0; half < 2; half++) {
        const auto key = panelUnits(keys + p * keyStride + k * kPanel + half * kLanes);
#pragma GCC unroll 4
        for (int h = 0; h < Heads; h++) multiplyAdd(sums[p][half][h], query[h], key);
      }
  }
  for (int p = 0; p < Panels; p++)
    for (int half = 0; half < 2; half++)
      for (int h = 0; h < Heads; h++)
        store(scores + h * kPositionsAtOnce + p * kPanel + half * kLanes, sums[p][half][h]);
}

template <class T, int Heads>
void scoreKeys(const typename T::Unit* queries, int64_t queryStride, const typename T::Unit* keys, int64_t keyStride,
               int64_t units, int64_t panels, float* scores) {
  constexpr int kTogether = Heads <= 2 ? 2 : 1;
  int64_t p = 0;
  for (; p + kTogether <= panels; p += kTogether)
    scorePanels<T, Heads, kTogether>(queries, queryStride, keys + p * keyStride, keyStride, units, scores + p * kPanel);
  for (; p < panels; p++)
    scorePanels<T, Heads, 1>(queries, queryStride, keys + p * keyStride, keyStride, units, scores + p * kPanel);
}

/** exp(scale · score − largest) of `count` scores as terms, padded with zeros to whole vectors. */
template <class T>
Softmax exponentials(const float* scores, int64_t count, float scale, typename T::Unit* terms) {
  constexpr float lowest = -std::numeric_limits<float>::infinity();
  Vec best = splat(lowest), total{};
  const auto part = [&](int64_t i, float rest) {
    return i + kLanes <= count ? load(scores + i) : firstLanes(load(scores + i), count - i, rest);
  };
  for (int64_t i = 0; i < count; i += kLanes) best = maximum(part(i, lowest), best);
  const float largest = maxOfLanes(best) * scale;
  for (int64_t i = 0; i < count; i += kLanes) {
    const Vec p = T::exponential(part(i, lowest) * scale - largest);
    storeTerms<T>(terms, i, p);
    total += p;
  }
  return {largest, sumOfLanes(total)};
}

/**
 * out[h] = Σ weights[h][position] · value for Heads heads and Vecs vectors of a panel of values, in Turns independent
 * sums, so that one need not wait for the previous one.
 */
template <class T, int Heads, int Vecs, int Turns>
void sumPanel(const typename T::Unit* weights, const typename T::Unit* values, int64_t units, int64_t columns,
              int64_t headDim, float* out) {
  Vec sums[Turns][Heads][Vecs] = {};
  const auto add = [&](int64_t k, int turn) {
    decltype(panelUnits(values)) value[Vecs];
#pragma GCC unroll 2
    for (int v = 0; v < Vecs; v++) value[v] = panelUnits(values + k * kPanel + v * kLanes);
#pragma GCC unroll 4
    for (int h = 0; h < Heads; h++) {
      const auto weight = broadcastUnit(weights[h * kPositionsAtOnce + k]);
#pragma GCC unroll 2
      for (int v = 0; v < Vecs; v++) multiplyAdd(sums[turn][h][v], weight, value[v]);
    }
  };
  int64_t k = 0;
  for (; k + Turns <= units; k += Turns)
#pragma GCC unroll 8
    for (int turn = 0; turn < Turns; turn++) add(k + turn, turn);
  for (; k < units; k++) add(k, 0);
  for (int h = 0; h < Heads; h++)
    for (int v = 0; v < Vecs; v++) {
      Vec total = sums[0][h][v];
      for (int turn = 1; turn < Turns; turn++) total += sums[turn][h][v];
      const int64_t rest = columns - v * kLanes;
      float* to = out + h * headDim + v * kLanes;
      rest >= kLanes ? store(to, total) : storePart(to, total, rest);
    }
}

template <class T, int Heads>
void sumValues(const typename T::Unit* weights, const TokenPanels<T, kPanel>& values, int64_t first, int64_t units,
               int64_t headDim, float* out) {
  constexpr int kTurns = Heads == 1 ? 4 : Heads == 2 ? 2 : 1;
  for (int64_t column = 0; column < headDim; column += kPanel) {
    const int64_t columns = std::min<int64_t>(headDim - column, kPanel);
    const auto* panel = values.data + column / kPanel * values.stride + first / T::kTerms * kPanel;
    (columns > kLanes ? sumPanel<T, Heads, 2, kTurns> : sumPanel<T, Heads, 1, kTurns>)(weights, panel, units, columns,
                                                                                       headDim, out + column);
  }
}

/** The whole attention of Heads query heads. */
template <class T, int Heads>
void attendHeads(const Cache<T>& cache, int64_t sequence, int64_t kvHead, int64_t first, int64_t last,
                 const typename T::Unit* queries, const typename T::Unit* ahead, float* out, Softmax* softmaxes) {
  alignas(64) float scores[Heads * kPositionsAtOnce];
  alignas(64) typename T::Unit weights[Heads * kPositionsAtOnce];
  const int64_t count = last - first, queryStride = rowUnits<T>(cache.headDim);
  const auto* keys = cache.keysOf(sequence, kvHead) + first / kPanel * cache.keyStride();
  const auto values = cache.valuesOf(sequence, kvHead);
  scoreKeys<T, Heads>(queries, queryStride, keys, cache.keyStride(), cache.units(), divideUp(count, kPanel), scores);
  for (int64_t v = 0; v < cache.valuePanels(); v++)
    prefetchBeginning(values.data + v * values.stride + first / T::kTerms * kPanel);
  for (int h = 0; h < Heads; h++)
    softmaxes[h] = exponentials<T>(scores + h * kPositionsAtOnce, count, cache.scale(), weights + h * kPositionsAtOnce);
  prefetchBeginning(ahead);
  sumValues<T, Heads>(weights, values, first, unitsOf<T>(count), cache.headDim, out);
}

#if MIXTUNE_AMX
/**
 * The whole attention of up to kAmxRows query heads, in tile registers. Training sums in the same order, so that it
 * computes the same probabilities as sampling.
 */
void attendHeadsAmx(const Cache<Bfloat16>& cache, int64_t sequence, int64_t kvHead, int64_t first, int64_t last,
                    int64_t heads, const uint32_t* queries, const uint32_t* ahead, float* out, Softmax* softmaxes) {
  alignas(64) float scores[kAmxRows * kPositionsAtOnce];
  alignas(64) uint32_t weights[kAmxRows * kPositionsAtOnce];
  const int64_t count = last - first, queryStride = rowUnits<Bfloat16>(cache.headDim), headDim = cache.headDim;
  const auto values = cache.valuesOf(sequence, kvHead);
  const uint32_t* fromValues = values.data + first / 2 * kPanel;
  // While a panel of keys is read, the values of its positions are prefetched; while values are read, what comes next.
  const int64_t lines = divideUp(kPanel, divideUp(cache.units(), kAmxUnits));
  for (int64_t position = 0; position < count; position += kPanel) {
    const uint32_t* panel = cache.keysOf(sequence, kvHead) + (first + position) / kPanel * cache.keyStride();
    const uint32_t* value = fromValues + position / 2 * kPanel;
    amxMultiply(heads, cache.units(), amxRows({queries, queryStride}), amxPanel(panel), nullptr, scores + position,
                kPositionsAtOnce, [&] {
                  for (int64_t line = 0; line < lines; line++, value += kAmxUnits)
                    for (int64_t v = 0; v < cache.valuePanels(); v++) __builtin_prefetch(value + v * values.stride);
                });
  }
  for (int64_t h = 0; h < heads; h++)
    softmaxes[h] =
        exponentials<Bfloat16>(scores + h * kPositionsAtOnce, count, cache.scale(), weights + h * kPositionsAtOnce);
  for (int64_t column = 0; column < headDim; column += kPanel) {
    alignas(64) float sums[kAmxRows * kPanel];
    amxMultiply(heads, unitsOf<Bfloat16>(count), amxRows({weights, kPositionsAtOnce}),
                amxPanel(fromValues + column / kPanel * values.stride), nullptr, sums, kPanel, [&] {
                  for (int64_t line = 0; line < 2 * kAmxUnits; line++, ahead += kAmxUnits) __builtin_prefetch(ahead);
                });
    for (int64_t h = 0; h < heads; h++)
      std::copy_n(sums + h * kPanel, std::min<int64_t>(kPanel, headDim - column), out + h * headDim + column);
  }
}
#endif

}  // namespace

template <class T>
void attendPositions(const Cache<T>& cache, int64_t sequence, int64_t kvHead, int64_t first, int64_t last,
                     int64_t group, const typename T::Unit* queries, const typename T::Unit* ahead, float* out,
                     Softmax* softmaxes) {
#if MIXTUNE_AMX
  if constexpr (std::is_same_v<T, Bfloat16>) {
    for (int64_t h = 0; h < group; h += kAmxRows)
      attendHeadsAmx(cache, sequence, kvHead, first, last, std::min(group - h, kAmxRows),
                     queries + h * rowUnits<T>(cache.headDim), ahead, out + h * cache.headDim, softmaxes + h);
    return;
  }
#endif
  constexpr decltype(&attendHeads<T, 1>) attend[] = {attendHeads<T, 1>, attendHeads<T, 2>, attendHeads<T, 3>,
                                                     attendHeads<T, 4>};
  for (int64_t h = 0; h < group; h += kHeadsAtOnce)
    attend[std::min(group - h, kHeadsAtOnce) - 1](cache, sequence, kvHead, first, last,
                                                  queries + h * rowUnits<T>(cache.headDim), ahead,
                                                  out + h * cache.headDim, softmaxes + h);
}

float joinParts(const float* sums, const Softmax* softmaxes, int64_t parts, int64_t apart, int64_t headDim,
                float* out) {
  float largest = softmaxes[0].largest, total = 0;
  for (int64_t i = 1; i < parts; i++) largest = std::max(largest, softmaxes[i * apart].largest);
  std::fill_n(out, headDim, 0.0f);
  for (int64_t i = 0; i < parts; i++) {
    const float factor = std::exp(softmaxes[i * apart].largest - largest);
    total += factor * softmaxes[i * apart].sum;
    const float* part = sums + i * apart * headDim;
    forEachVec(headDim,
               [&](int64_t d, auto load, auto store) { store(out + d, load(out + d) + load(part + d) * factor); });
  }
  return total;
}

#define MIXTUNE_INSTANTIATE(T)                                                                                   \
  template void attendPositions<T>(const Cache<T>&, int64_t, int64_t, int64_t, int64_t, int64_t, const T::Unit*, \
                                   const T::Unit*, float*, Softmax*);
MIXTUNE_FOR_EACH_KIND(MIXTUNE_INSTANTIATE)
#undef MIXTUNE_INSTANTIATE

}  // namespace mixtune
