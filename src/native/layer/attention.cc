// The forward pass of attention. Scores are only held for a block of queries at a time.
#include "layer/attention.h"

#include <cmath>
#include <limits>
#include <vector>

namespace mixtune {

namespace {

/** Number of queries of a task; each task packs the keys and values that it needs. */
constexpr int64_t kTaskQueries = 512;

struct Task {
  int64_t begin, kvHead, first, last;
};

/**
 * Turns the first `count` scores x of a row into terms exp(scale · x − shift), with zeros up to `end`. Returns their
 * sum.
 */
template <class T>
float exponentials(const float* scores, int64_t count, int64_t end, float scale, float shift, typename T::Unit* terms) {
  Vec total{};
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    const Vec p = T::exponential(load(scores + i) * scale - shift);
    storeTerms<T>(terms, i, p);
    total += p;
  }
  if (i < count) {
    const Vec p = firstLanes(T::exponential(load(scores + i) * scale - shift), count - i, 0.0f);
    storeTerms<T>(terms, i, p);
    total += p;
  }
  for (i = wholeVectors(count); i < end; i += kLanes) storeTerms<T>(terms, i, Vec{});
  return sumOfLanes(total);
}

float largest(const float* x, int64_t count) {
  const float lowest = -std::numeric_limits<float>::infinity();
  Vec best = splat(lowest);
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) best = maximum(load(x + i), best);
  if (i < count) best = maximum(firstLanes(load(x + i), count - i, lowest), best);
  return maxOfLanes(best);
}

/** The keys [0, last) packed as panels for products with queries, and the values as token panels. */
template <class T>
struct Packed {
  typename T::Unit* keys;
  TokenPanels<T, kPanel> values;

  Packed(const KeyValueRows<T>& rows, int64_t last, Scratch& scratch)
      : keys(scratch.take<typename T::Unit>(panelsSize(unitsOf<T>(rows.headDim), last))),
        values(takeTokenPanels<T>(scratch, padded(last), rows.headDim)) {
    const int64_t headDim = rows.headDim, units = unitsOf<T>(headDim);
    float* block = scratch.take<float>(kPanel * headDim);
    for (int64_t first = 0; first < last; first += kPanel) {
      const int64_t count = std::min<int64_t>(kPanel, last - first);
      for (int64_t i = 0; i < count; i++) rows.rotated(first + i, rows.keyColumn, block + i * headDim);
      packTransposed<T>(block, std::min<int64_t>(count, kLanes), block + kLanes * headDim,
                        std::max<int64_t>(count - kLanes, 0), headDim, headDim,
                        keys + first / kPanel * panelStride(units));
      for (int64_t i = 0; i < count; i++) rows.plain(first + i, rows.valueColumn, block + i * headDim);
      std::fill(block + count * headDim, block + kPanel * headDim, 0.0f);
      putTokens<T>(values, block, first, kPanel, headDim);
    }
  }
};

template <class T>
void attendTask(const AttentionLayout& at, const Task& task, const RotaryTable& table, const OperandRows<T>& qkv,
                const OperandRows<T>& out, float* logSumExp, Scratch& scratch) {
  using Unit = typename T::Unit;
  scratch.reset();
  const KeyValueRows<T> rows(at, table, qkv, task.begin, task.kvHead);
  const Packed<T> packed(rows, task.last, scratch);
  const int64_t headDim = rows.headDim, units = unitsOf<T>(headDim), stride = padded(task.last);
  const float scale = 1.0f / std::sqrt(static_cast<float>(headDim));
  float* scores = scratch.take<float>(kQueries<Unit> * stride);
  Unit* probabilities = scratch.take<Unit>(kQueries<Unit> * unitsOf<T>(stride));
  Unit* queries = scratch.take<Unit>(kQueries<Unit> * units);
  float* result = scratch.take<float>(kQueries<Unit> * padded(headDim));

  for (int64_t g = 0; g < at.shape.group(); g++) {
    const int64_t head = task.kvHead * at.shape.group() + g;
    for (int64_t first = task.first; first < task.last; first += kQueries<Unit>) {
      const int64_t last = std::min(task.last, first + kQueries<Unit>), count = last - first, visible = padded(last);
      for (int64_t q = 0; q < count; q++) {
        rows.rotated(first + q, head * headDim, result);
        packRow<T>(result, headDim, queries + q * units);
      }
      multiplyPanels<Unit, false>(count, visible, units, {queries, units}, packed.keys, panelStride(units), scores,
                                  stride, false);
      float sums[kQueries<Unit> + kLanes], shifts[kQueries<Unit> + kLanes];
      for (int64_t q = 0; q < count; q++) {
        const float* row = scores + q * stride;
        shifts[q] = largest(row, first + q + 1) * scale;
        sums[q] =
            exponentials<T>(row, first + q + 1, visible, scale, shifts[q], probabilities + q * unitsOf<T>(stride));
      }
      forEachVec(count, [&](int64_t i, auto load, auto store) {
        store(logSumExp + head * at.rows + task.begin + first + i, load(shifts + i) + logarithm(load(sums + i)));
      });
      multiplyPanels<Unit, false>(count, headDim, unitsOf<T>(visible), {probabilities, unitsOf<T>(stride)},
                                  packed.values.data, packed.values.stride, result, padded(headDim), false);
      for (int64_t q = 0; q < count; q++) {
        float* row = result + q * padded(headDim);
        const float inverse = 1.0f / sums[q];
        for (int64_t i = 0; i < headDim; i += kLanes) store(row + i, load(row + i) * inverse);
        out.storeRow(task.begin + first + q, head * headDim, row, headDim);
      }
    }
  }
}

}  // namespace

const RotaryTable& checkLayout(Engine& engine, const AttentionLayout& at) {
  for (int64_t s = 0; s < at.segmentCount; s++)
    if (at.segments[s] > at.segments[s + 1]) throw std::runtime_error("segments are not ascending row offsets");
  if (at.segments[0] != 0 || at.segments[at.segmentCount] != at.rows)
    throw std::runtime_error("segments do not cover the rows");
  for (int64_t i = 0; i < at.rows; i++)
    if (at.positions[i] >= at.rows) throw std::runtime_error("a position is beyond the rows");
  return tableFor(engine, at.shape, at.rotary, at.positions, at.rows);
}

template <class T>
void attend(Engine& engine, const AttentionLayout& at, const OperandRows<T>& qkv, const OperandRows<T>& out,
            float* logSumExp) {
  const RotaryTable& table = checkLayout(engine, at);
  std::vector<Task> tasks;
  for (int64_t s = 0; s < at.segmentCount; s++) {
    const int64_t begin = at.segments[s], length = at.segments[s + 1] - begin;
    for (int64_t kvHead = 0; kvHead < at.shape.kvHeads; kvHead++)
      for (int64_t first = 0; first < length; first += kTaskQueries)
        tasks.push_back({begin, kvHead, first, std::min(length, first + kTaskQueries)});
  }
  engine.team.parallel(static_cast<int64_t>(tasks.size()), [&](int64_t index, int thread) {
    attendTask<T>(at, tasks[static_cast<size_t>(index)], table, qkv, out, logSumExp, engine.scratchOf(thread));
  });
}

#define MIXTUNE_INSTANTIATE(T) \
  template void attend<T>(Engine&, const AttentionLayout&, const OperandRows<T>&, const OperandRows<T>&, float*);
MIXTUNE_FOR_EACH_KIND(MIXTUNE_INSTANTIATE)
#undef MIXTUNE_INSTANTIATE

}  // namespace mixtune
