// Attention of many new tokens of one sequence.
#include <limits>

#include "decoding/cached-attention.h"

namespace mixtune {

namespace {

/** Turns a row of `count` scores into terms exp(scale · score − largest), with zeros up to `end`. Returns their sum. */
template <class T>
float exponentials(const float* scores, int64_t count, int64_t end, float scale, typename T::Unit* terms) {
  constexpr float lowest = -std::numeric_limits<float>::infinity();
  Vec best = splat(lowest), total{};
  for (int64_t i = 0; i < count; i += kLanes) best = maximum(firstLanes(load(scores + i), count - i, lowest), best);
  const float largest = maxOfLanes(best) * scale;
  int64_t i = 0;
  for (; i < count; i += kLanes) {
    const Vec p = firstLanes(T::exponential(load(scores + i) * scale - largest), count - i, 0.0f);
    storeTerms<T>(terms, i, p);
    total += p;
  }
  for (; i < end; i += kLanes) storeTerms<T>(terms, i, Vec{});
  return sumOfLanes(total);
}

}  // namespace

template <class T>
void attendRun(const NewRows& rows, const Cache<T>& cache, int64_t row, int64_t count, int64_t kvHead,
               const typename T::Unit* queries, const OperandRows<T>& out, Scratch& scratch) {
  using Unit = typename T::Unit;
  scratch.reset();
  const int64_t headDim = cache.headDim, units = cache.units(), group = rows.shape.group();
  const int64_t before = rows.positions[row], length = before + count, visible = padded(length);
  const int64_t terms = unitsOf<T>(visible);
  const int64_t sequence = rows.sequences[row], queryStride = rowUnits<T>(headDim);
  const auto values = cache.valuesOf(sequence, kvHead);
  float* scores = scratch.take<float>(count * visible);
  Unit* probabilities = scratch.take<Unit>(count * terms);
  float* sums = scratch.take<float>(count);
  float* result = scratch.take<float>(count * padded(headDim));

  for (int64_t head = kvHead * group; head < (kvHead + 1) * group; head++) {
    const Left<Unit> block{queries + (row * rows.shape.heads + head) * queryStride, rows.shape.heads * queryStride};
    multiplyPanels<Unit, false>(count, visible, units, block, cache.keysOf(sequence, kvHead), cache.keyStride(), scores,
                                visible, false);
    for (int64_t q = 0; q < count; q++)
      sums[q] =
          exponentials<T>(scores + q * visible, before + q + 1, visible, cache.scale(), probabilities + q * terms);
    multiplyPanels<Unit, false>(count, headDim, terms, {probabilities, terms}, values.data, values.stride, result,
                                padded(headDim), false);
    for (int64_t q = 0; q < count; q++)
      putHead(out, row + q, head * headDim, result + q * padded(headDim), 1.0f / sums[q], headDim);
  }
}

#define MIXTUNE_INSTANTIATE(T)                                                                           \
  template void attendRun<T>(const NewRows&, const Cache<T>&, int64_t, int64_t, int64_t, const T::Unit*, \
                             const OperandRows<T>&, Scratch&);
MIXTUNE_FOR_EACH_KIND(MIXTUNE_INSTANTIATE)
#undef MIXTUNE_INSTANTIATE

}  // namespace mixtune
