// The gradient of causal attention, one task for each sequence and key-value head.
#include <cmath>
#include <cstring>
#include <vector>

#include "layer/attention.h"

namespace mixtune {

namespace {

struct Task {
  int64_t begin, length, kvHead;
};

template <class T>
struct Inputs {
  const OperandRows<T>& dOut;
  const OperandRows<T>& qkv;
  const OperandRows<T>& out;
  const float* logSumExp;
  const OperandRows<T>& dQkv;
};

/**
 * Computes probabilities p and gradients of scores ds = p · (dp − mean) · scale of one row, kLanes at a time; both are
 * zero from `count`.
 */
template <class T>
struct RowGradient {
  const float* scores;
  const float* dp;
  int64_t count;
  float scale, logSumExp, mean;

  void at(int64_t i, Vec& p, Vec& ds) const {
    p = ds = Vec{};
    if (i >= count) return;
    p = T::exponential(load(scores + i) * scale - logSumExp);
    ds = p * (load(dp + i) - mean) * scale;
    if (count - i >= kLanes) return;
    p = firstLanes(p, count - i, 0.0f);
    ds = firstLanes(ds, count - i, 0.0f);
  }
};

/** Stores pairs of queries as units [queries][keys], read by column: the left operand of key and value gradients. */
template <class T>
void putPairs(typename T::Unit* units, int64_t stride, int64_t query, int64_t key, Vec even, Vec odd) {
  if constexpr (T::kTerms == 1) {
    store(units + query * stride + key, T::rounded(even));
    store(units + (query + 1) * stride + key, T::rounded(odd));
  } else {
    storeBits(units + query / 2 * stride + key, bfloat16Pairs(even, odd));
  }
}

/** The working memory of a task, in the scratch memory of its thread. */
template <class T>
struct Workspace {
  using Unit = typename T::Unit;
  KeyValueRows<T> rows;
  int64_t headDim, units, length, stride, pairStride;
  /** Keys and values as panels for products with queries and their gradients, and keys as token panels. */
  Unit* keys;
  Unit* values;
  TokenPanels<T, kPanel> keyTokens;
  /** Buffers for one block of queries; `result` for a single query. */
  Unit* queries;
  Unit* dOut;
  float* result;
  TokenPanels<T, kPanel> queryTokens, dOutTokens;
  float* scores;
  float* dp;
  Unit* dScores;
  Unit* probabilityPairs;
  Unit* dScorePairs;
  float* block;
  /** [length, headDim], summed over the queries of all heads. */
  float* dKeys;
  float* dValues;

  Workspace(const AttentionLayout& at, const Task& task, const RotaryTable& table, const OperandRows<T>& qkv,
            Scratch& scratch)
      : rows(at, table, qkv, task.begin, task.kvHead),
        headDim(rows.headDim),
        units(unitsOf<T>(headDim)),
        length(task.length),
        stride(padded(length)),
        pairStride(stride + kLanes),
        keys(scratch.take<Unit>(panelsSize(units, length))),
        values(scratch.take<Unit>(panelsSize(units, length))),
        keyTokens(takeTokenPanels<T>(scratch, stride, headDim)),
        queries(scratch.take<Unit>(kQueries<Unit> * units)),
        dOut(scratch.take<Unit>(kQueries<Unit> * units)),
        result(scratch.take<float>(headDim)),
        queryTokens(takeTokenPanels<T>(scratch, kQueries<Unit>, headDim)),
        dOutTokens(takeTokenPanels<T>(scratch, kQueries<Unit>, headDim)),
        scores(scratch.take<float>(kQueries<Unit> * stride)),
        dp(scratch.take<float>(kQueries<Unit> * stride)),
        dScores(scratch.take<Unit>(kQueries<Unit> * unitsOf<T>(stride))),
        probabilityPairs(scratch.take<Unit>(kQueries<Unit> * pairStride)),
        dScorePairs(scratch.take<Unit>(kQueries<Unit> * pairStride)),
        block(scratch.take<float>(std::max<int64_t>(kPanel, kQueries<Unit>) * padded(headDim))),
        dKeys(scratch.take<float>(length * headDim)),
        dValues(scratch.take<float>(length * headDim)) {
    std::fill_n(dKeys, length * headDim, 0.0f);
    std::fill_n(dValues, length * headDim, 0.0f);
    for (int64_t first = 0; first < length; first += kPanel) {
      const int64_t count = std::min<int64_t>(kPanel, length - first), rest = std::max<int64_t>(count - kLanes, 0);
      const int64_t panel = first / kPanel * panelStride(units);
      std::fill_n(block, kPanel * headDim, 0.0f);
      for (int64_t i = 0; i < count; i++) rows.plain(first + i, rows.valueColumn, block + i * headDim);
      packTransposed<T>(block, count - rest, block + kLanes * headDim, rest, headDim, headDim, values + panel);
      for (int64_t i = 0; i < count; i++) rows.rotated(first + i, rows.keyColumn, block + i * headDim);
      packTransposed<T>(block, count - rest, block + kLanes * headDim, rest, headDim, headDim, keys + panel);
      putTokens<T>(keyTokens, block, first, kPanel, headDim);
    }
  }
};

/** Rotates a row of floats [headDim] back by its position, and stores it in columns of an operand. */
template <class T>
void storeRotatedBack(const Workspace<T>& work, int64_t token, float* row, const OperandRows<T>& to, int64_t column) {
  rotate(row, work.rows.table, work.rows.positions[token], -1.0f, row);
  to.storeRow(work.rows.begin + token, column, row, work.headDim);
}

/** Processes queries [first, last) of `head`: adds to dKeys and dValues, and writes the gradient of the queries. */
template <class T>
void backwardBlock(const AttentionLayout& at, const Task& task, const Inputs<T>& in, int64_t head, int64_t first,
                   int64_t last, Workspace<T>& work) {
  using Unit = typename T::Unit;
  const int64_t headDim = work.headDim, units = work.units, count = last - first, visible = padded(last);
  const int64_t queryColumn = head * headDim;
  const float scale = 1.0f / std::sqrt(static_cast<float>(headDim));

  float means[kQueries<Unit>];
  for (int64_t q = 0; q < count; q++) {
    float* row = work.block + q * headDim;
    float* result = work.result;
    readTerms(in.dOut, task.begin + first + q, queryColumn, headDim, row);
    readTerms(in.out, task.begin + first + q, queryColumn, headDim, result);
    Vec total{};
    forEachVec(headDim, [&](int64_t i, auto load, auto) { total += load(row + i) * load(result + i); });
    means[q] = sumOfLanes(total);
    packRow<T>(row, headDim, work.dOut + q * units);
  }
  putTokens<T>(work.dOutTokens, work.block, 0, count, headDim);
  for (int64_t q = 0; q < count; q++) {
    work.rows.rotated(first + q, queryColumn, work.block + q * headDim);
    packRow<T>(work.block + q * headDim, headDim, work.queries + q * units);
  }
  putTokens<T>(work.queryTokens, work.block, 0, count, headDim);

  multiplyPanels<Unit, false>(count, visible, units, {work.queries, units}, work.keys, panelStride(units), work.scores,
                              work.stride, false);
  multiplyPanels<Unit, false>(count, visible, units, {work.dOut, units}, work.values, panelStride(units), work.dp,
                              work.stride, false);
  const float* logSumExp = in.logSumExp + head * at.rows + task.begin + first;
  const int64_t dStride = unitsOf<T>(work.stride), pairStride = work.pairStride;
  Unit* probabilityPairs = work.probabilityPairs;
  Unit* dScorePairs = work.dScorePairs;
  for (int64_t q = 0; q < count; q += 2) {
    const auto rowOf = [&](int64_t q) {
      return RowGradient<T>{
          work.scores + q * work.stride, work.dp + q * work.stride, first + q + 1, scale, logSumExp[q], means[q]};
    };
    const bool paired = q + 1 < count;
    const RowGradient<T> even = rowOf(q), odd = paired ? rowOf(q + 1) : RowGradient<T>{};
    Unit* dEven = work.dScores + q * dStride;
    for (int64_t i = 0; i < visible; i += kLanes) {
      Vec p0, ds0, p1, ds1;
      even.at(i, p0, ds0);
      odd.at(i, p1, ds1);
      storeTerms<T>(dEven, i, ds0);
      if (paired) storeTerms<T>(dEven + dStride, i, ds1);
      putPairs<T>(probabilityPairs, pairStride, q, i, p0, p1);
      putPairs<T>(dScorePairs, pairStride, q, i, ds0, ds1);
    }
  }
  const int64_t depth = unitsOf<T>(count), height = tileHeight<Unit>(last);
  multiplyPanels<Unit, true>(last, headDim, depth, {work.probabilityPairs, work.pairStride}, work.dOutTokens.data,
                             work.dOutTokens.stride, work.dValues, headDim, true, height, height);
  multiplyPanels<Unit, true>(last, headDim, depth, {work.dScorePairs, work.pairStride}, work.queryTokens.data,
                             work.queryTokens.stride, work.dKeys, headDim, true, height, height);
  multiplyPanels<Unit, false>(count, headDim, unitsOf<T>(visible), {work.dScores, unitsOf<T>(work.stride)},
                              work.keyTokens.data, work.keyTokens.stride, work.block, headDim, false);
  for (int64_t q = 0; q < count; q++) storeRotatedBack(work, first + q, work.block + q * headDim, in.dQkv, queryColumn);
}

template <class T>
void backwardTask(const AttentionLayout& at, const Task& task, const RotaryTable& table, const Inputs<T>& in,
                  Scratch& scratch) {
  constexpr int64_t kBlock = kQueries<typename T::Unit>;
  scratch.reset();
  Workspace<T> work(at, task, table, in.qkv, scratch);
  for (int64_t head = task.kvHead * at.shape.group(); head < (task.kvHead + 1) * at.shape.group(); head++)
    for (int64_t first = 0; first < task.length; first += kBlock)
      backwardBlock<T>(at, task, in, head, first, std::min(task.length, first + kBlock), work);
  for (int64_t i = 0; i < task.length; i++) {
    storeRotatedBack(work, i, work.dKeys + i * work.headDim, in.dQkv, work.rows.keyColumn);
    in.dQkv.storeRow(task.begin + i, work.rows.valueColumn, work.dValues + i * work.headDim, work.headDim);
  }
}

}  // namespace

template <class T>
void attendBackward(Engine& engine, const AttentionLayout& at, const OperandRows<T>& dOut, const OperandRows<T>& qkv,
                    const OperandRows<T>& out, const float* logSumExp, const OperandRows<T>& dQkv) {
  const RotaryTable& table = checkLayout(engine, at);
  const Inputs<T> in{dOut, qkv, out, logSumExp, dQkv};
  std::vector<Task> tasks;
  for (int64_t s = 0; s < at.segmentCount; s++) {
    const int64_t begin = at.segments[s], length = at.segments[s + 1] - begin;
    for (int64_t kvHead = 0; kvHead < at.shape.kvHeads && length > 0; kvHead++)
      tasks.push_back({begin, length, kvHead});
  }
  engine.team.parallel(static_cast<int64_t>(tasks.size()), [&](int64_t index, int thread) {
    backwardTask<T>(at, tasks[static_cast<size_t>(index)], table, in, engine.scratchOf(thread));
  });
}

#define MIXTUNE_INSTANTIATE(T)                                                                                   \
  template void attendBackward<T>(Engine&, const AttentionLayout&, const OperandRows<T>&, const OperandRows<T>&, \
                                  const OperandRows<T>&, const float*, const OperandRows<T>&);
MIXTUNE_FOR_EACH_KIND(MIXTUNE_INSTANTIATE)
#undef MIXTUNE_INSTANTIATE

}  // namespace mixtune
