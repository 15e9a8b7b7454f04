// The output head: log-probabilities of target tokens and cross-entropy, in chunks of rows and of the vocabulary.
#include <algorithm>
#include <cstring>

#include "head-logits.h"
#include "operations.h"

namespace mixtune {

namespace {

/** Bytes of logits that are held at a time where they are needed twice. */
constexpr int64_t kLogitBytes = 64 << 20;
/** Of the backward pass: columns of the vocabulary at a time and, of these, terms of one tile; and rows of a task. */
constexpr int64_t kGradientColumns = 2048;
constexpr int64_t kGradientTerms = 512;
constexpr int64_t kGradientRows = 12 * kTileRows;

/** Blocks of logits that have just been computed, and that were kept. */
struct FloatLogits {
  const float* data;
  int64_t stride;

  Vec at(int64_t row, int64_t column) const { return load(data + row * stride + column); }
  void prefetch(int64_t, int64_t) const {}
};

template <class T>
struct KeptLogits {
  const typename Logits<T>::Element* data;
  int64_t stride;

  Vec at(int64_t row, int64_t column) const { return Logits<T>::loadVec(data + row * stride + column); }
  void prefetch(int64_t row, int64_t column) const { __builtin_prefetch(data + row * stride + column); }
};

/** Where the gradients of hidden states and head go; either may be null. */
struct HeadGradient {
  float* dHidden;
  bool accumulateDHidden;
  float* dHead;
  bool accumulateDHead;
};

/** Gradients of the logits of some rows: scale[i] · (softmax − one-hot). */
struct LogitGradient {
  const float* logSumExp;
  const float* scale;
  const int32_t* target;
};

/**
 * Turns logits [rows, columns] of the columns from `column` on into their gradient, as rows of units and as token panels
 * from `token` on.
 */
template <class T, class Block>
void putGradients(const LogitGradient& of, int64_t rows, int64_t column, int64_t columns, const Block& logits,
                  typename T::Unit* out, int64_t stride, int64_t token, const TokenPanels<T>& panels) {
  for (int64_t i = 0; i < rows; i += 2) {
    const int64_t next = std::min(i + 1, rows - 1);
    const float nextScale = i + 1 < rows ? of.scale[next] : 0.0f;
    const int64_t targets[2] = {of.target[i] - column, of.target[next] - column};
    for (int64_t k = 0; k < columns; k += kLanes) {
      logits.prefetch(i + 2, k);  // rows are too far apart for the processor to guess the next
      logits.prefetch(i + 3, k);
      Vec even = T::exponential(logits.at(i, k) - of.logSumExp[i]) * of.scale[i];
      Vec odd = T::exponential(logits.at(next, k) - of.logSumExp[next]) * nextScale;
      if (targets[0] >= k && targets[0] < k + kLanes) even[targets[0] - k] -= of.scale[i];
      if (targets[1] >= k && targets[1] < k + kLanes) odd[targets[1] - k] -= nextScale;
      if (columns - k < kLanes) {
        even = firstLanes(even, columns - k, 0.0f);
        odd = firstLanes(odd, columns - k, 0.0f);
      }
      storeTerms<T>(out + i * stride, k, even);
      if (i + 1 < rows) storeTerms<T>(out + next * stride, k, odd);
      panels.put(token + i, k, even, odd);
    }
  }
}

/**
 * Adds the gradients that come through the logits of rows [0, rows) of `left`, a block of the vocabulary at a time.
 * prepare(first row, rows, scratch) returns a function that gets the logits of these rows for (column, columns).
 */
template <class T, class Prepare>
void backward(Engine& engine, int64_t rows, int64_t width, int64_t vocabulary, Left<typename T::Unit> left,
              const typename T::Unit* across, const LogitGradient& of, float* dHidden, bool accumulateDHidden,
              float* dHead, bool accumulateDHead, const Prepare& prepare) {
  using Unit = typename T::Unit;
  const int64_t stride = unitsOf<T>(kGradientTerms), acrossStride = panelStride(unitsOf<T>(vocabulary));
  const int64_t block = std::min(kGradientRows, std::max<int64_t>(2, divideUp(divideUp(rows, 2 * engine.team.size()), 2) * 2));
  const TokenPanels<T> hidden = tokenPanels<T>(engine, left.data, left.stride, rows, width);
  const TokenPanels<T> gradient = emptyTokenPanels<T>(engine, rows, kGradientColumns);
  for (int64_t column = 0; column < vocabulary; column += kGradientColumns) {
    const int64_t columns = std::min(kGradientColumns, vocabulary - column);
    engine.team.parallel(divideUp(rows, block), [&](int64_t task, int thread) {
      const int64_t first = task * block, count = std::min(block, rows - first);
      Scratch& scratch = engine.scratchOf(thread);
      scratch.reset();
      Unit* dLogits = scratch.take<Unit>(kGradientRows * stride);
      const LogitGradient ofBlock{of.logSumExp + first, of.scale + first, of.target + first};
      const auto logitsOf = prepare(first, count, scratch);
      for (int64_t term = 0; term < columns; term += kGradientTerms) {
        const int64_t terms = std::min(kGradientTerms, columns - term);
        const TokenPanels<T> to{gradient.data + term / kLanes * gradient.stride, gradient.stride};
        putGradients<T>(ofBlock, count, column + term, terms, logitsOf(column + term, terms), dLogits, stride, first, to);
        if (!dHidden) continue;
        multiplyTiles<T>(count, divideUp(width, kPanel), unitsOf<T>(terms), {dLogits, stride},
                         across + (column + term) / T::kTerms * kPanel, acrossStride, RowSplit::evenHeight(count),
                         StoreFloats{dHidden + first * width, width, width, accumulateDHidden || column + term > 0});
      }
    });
    if (dHead)
      multiplyTokens<T>(engine, columns, width, rows, gradient, hidden, dHead + column * width, accumulateDHead);
  }
}

/** Spreads gradients of the active rows over all rows, or adds them. */
void scatterRows(const ActiveRows& active, int64_t first, int64_t count, int64_t width, const float* from, float* to) {
  for (int64_t i = 0; i < count; i++) {
    float* row = to + active.row[first + i] * width;
    forEachVec(width, [&](int64_t k, auto load, auto store) { store(row + k, load(row + k) + load(from + i * width + k)); });
  }
}

/**
 * The backward pass for all active rows, chunkRows at a time. prepareChunk(first, count, run) makes the log-sum-exps of a
 * chunk known and calls run(gradient of its logits, prepare).
 */
template <class T, class PrepareChunk>
void backwardOfActive(Engine& engine, const ActiveRows& active, int64_t rows, int64_t width, int64_t vocabulary,
                      Left<typename T::Unit> left, const Block* head, int64_t chunkRows, const HeadGradient& at,
                      const PrepareChunk& prepareChunk) {
  const bool all = active.count == rows;
  if (at.dHidden && !all && !at.accumulateDHidden)
    std::memset(at.dHidden, 0, static_cast<size_t>(rows * width) * sizeof(float));
  if (active.count == 0) {
    if (at.dHead && !at.accumulateDHead)
      std::memset(at.dHead, 0, static_cast<size_t>(vocabulary * width) * sizeof(float));
    return;
  }
  const auto* across = at.dHidden ? weightPanelsAcross<T>(engine, head, vocabulary, width) : nullptr;
  float* part = all || !at.dHidden ? nullptr : engine.scratch.take<float>(chunkRows * width);
  for (int64_t first = 0; first < active.count; first += chunkRows) {
    const int64_t count = std::min(chunkRows, active.count - first);
    float* to = !at.dHidden ? nullptr : all ? at.dHidden + first * width : part;
    prepareChunk(first, count, [&](const LogitGradient& of, const auto& prepare) {
      backward<T>(engine, count, width, vocabulary, {left.data + first * left.stride, left.stride}, across, of, to,
                  all && at.accumulateDHidden, at.dHead, at.accumulateDHead || first > 0, prepare);
    });
    if (part) scatterRows(active, first, count, width, part, at.dHidden);
  }
}

/** Rows of logits that are kept or computed again at a time: even, so that chunks hold whole pairs. */
template <class T>
int64_t chunkRowsOf(int64_t rows, int64_t vocabulary) {
  const int64_t bytes = logitStride(vocabulary) * static_cast<int64_t>(sizeof(typename Logits<T>::Element));
  const int64_t most = std::max<int64_t>(2, kLogitBytes / bytes);
  const int64_t even = divideUp(rows, std::max<int64_t>(1, divideUp(rows, most)));
  return std::max<int64_t>(2, even + even % 2);
}

}  // namespace

/** rows, hidden size, vocabulary, hidden, head, targets, logProbs, logSumExp. */
void operations::tokenLogProbs(Engine& engine, Arguments& in) {
  const int64_t rows = in.extent(), width = in.extent(), vocabulary = in.extent();
  const float* hidden = in.read(rows * width);
  Block* head = in.block<float>(vocabulary * width);
  const int32_t* targets = in.read<int32_t>(rows);
  float* logProb = in.write(rows);
  float* logSumExp = in.write(rows);
  const ActiveRows active = collect(engine, targets, nullptr, rows, vocabulary, hidden, width);
  std::fill_n(logProb, rows, 0.0f);
  std::fill_n(logSumExp, rows, 0.0f);
  engine.count(2.0 * active.count * width * vocabulary, 4.0 * active.count * width + 2.0 * vocabulary * width);
  if (active.count == 0) return;
  float* logProbOfActive = engine.scratch.take<float>(active.count);
  float* logSumExpOfActive = engine.scratch.take<float>(active.count);
  inPrecision(engine, [&](auto kind) {
    using T = decltype(kind);
    logProbs<T>(engine, active, leftRows<T>(engine, active.hidden, active.count, width),
                weightPanels<T>(engine, head, width, vocabulary), 0, active.count, unitsOf<T>(width), vocabulary,
                logProbOfActive, logSumExpOfActive, nullptr);
  });
  for (int64_t i = 0; i < active.count; i++) {
    logProb[active.row[i]] = logProbOfActive[i];
    logSumExp[active.row[i]] = logSumExpOfActive[i];
  }
}

/** rows, hidden size, vocabulary, accumulate dHidden?, accumulate dHead?, dLogProbs, hidden, head, targets, logSumExp,
 * dHidden or 0, dHead or 0. */
void operations::tokenLogProbsGradient(Engine& engine, Arguments& in) {
  const int64_t rows = in.extent(), width = in.extent(), vocabulary = in.extent();
  HeadGradient at{};
  at.accumulateDHidden = in.flag();
  at.accumulateDHead = in.flag();
  const float* dLogProb = in.read(rows);
  const float* hidden = in.read(rows * width);
  Block* head = in.block<float>(vocabulary * width);
  const int32_t* targets = in.read<int32_t>(rows);
  const float* logSumExp = in.read(rows);
  at.dHidden = in.write(rows * width);
  at.dHead = in.write(vocabulary * width);
  const ActiveRows active = collect(engine, targets, dLogProb, rows, vocabulary, hidden, width);
  engine.count(6.0 * active.count * width * vocabulary, 8.0 * active.count * width + 10.0 * vocabulary * width);
  float* sums = engine.scratch.take<float>(active.count);
  float* scales = engine.scratch.take<float>(active.count);
  for (int64_t i = 0; i < active.count; i++) {
    sums[i] = logSumExp[active.row[i]];
    scales[i] = -dLogProb[active.row[i]];
  }
  inPrecision(engine, [&](auto kind) {
    using T = decltype(kind);
    const Left<typename T::Unit> left = leftRows<T>(engine, active.hidden, active.count, width);
    const auto* panels = weightPanels<T>(engine, head, width, vocabulary);
    const int64_t units = unitsOf<T>(width), stride = panelStride(units);
    const int64_t chunk = chunkRowsOf<T>(active.count, vocabulary);
    backwardOfActive<T>(engine, active, rows, width, vocabulary, left, head, chunk, at,
                        [&](int64_t first, int64_t, const auto& run) {
                          const auto compute = [&](int64_t row, int64_t count, Scratch& scratch) {
                            float* logits = scratch.take<float>(kGradientRows * kGradientTerms);
                            const auto* from = left.data + (first + row) * left.stride;
                            return [=](int64_t column, int64_t columns) {
                              multiplyPanels<typename T::Unit, false>(count, columns, units, {from, left.stride},
                                                                      panels + column / kPanel * stride, stride, logits,
                                                                      kGradientTerms, false);
                              return FloatLogits{logits, kGradientTerms};
                            };
                          };
                          run(LogitGradient{sums + first, scales + first, active.target + first}, compute);
                        });
  });
}

/**
 * rows, hidden size, vocabulary, accumulate dHidden?, accumulate dHead?, hidden, head, targets, weights, loss, dHidden,
 * dHead.
 */
void operations::crossEntropyWithGradient(Engine& engine, Arguments& in) {
  const int64_t rows = in.extent(), width = in.extent(), vocabulary = in.extent();
  HeadGradient at{};
  at.accumulateDHidden = in.flag();
  at.accumulateDHead = in.flag();
  const float* hidden = in.read(rows * width);
  Block* head = in.block<float>(vocabulary * width);
  const int32_t* targets = in.read<int32_t>(rows);
  const float* weights = in.read(rows);
  float* loss = in.write(1);
  at.dHidden = in.write(rows * width);
  at.dHead = in.write(vocabulary * width);
  const ActiveRows active = collect(engine, targets, weights, rows, vocabulary, hidden, width);
  engine.count(6.0 * active.count * width * vocabulary, 8.0 * active.count * width + 12.0 * vocabulary * width);
  float* logProb = engine.scratch.take<float>(active.count);
  float* scales = engine.scratch.take<float>(active.count);
  for (int64_t i = 0; i < active.count; i++) scales[i] = weights[active.row[i]];
  inPrecision(engine, [&](auto kind) {
    using T = decltype(kind);
    const Left<typename T::Unit> left = leftRows<T>(engine, active.hidden, active.count, width);
    const auto* panels = weightPanels<T>(engine, head, width, vocabulary);
    const int64_t chunk = chunkRowsOf<T>(active.count, vocabulary), stride = logitStride(vocabulary);
    auto* logits = engine.scratch.take<typename Logits<T>::Element>(chunk * stride);
    float* logSumExp = engine.scratch.take<float>(chunk);
    backwardOfActive<T>(engine, active, rows, width, vocabulary, left, head, chunk, at,
                        [&](int64_t first, int64_t count, const auto& run) {
                          logProbs<T>(engine, active, left, panels, first, count, unitsOf<T>(width), vocabulary,
                                      logProb + first, logSumExp, logits);
                          const auto kept = [&](int64_t row, int64_t, Scratch&) {
                            return [=](int64_t column, int64_t) {
                              return KeptLogits<T>{logits + row * stride + column, stride};
                            };
                          };
                          run(LogitGradient{logSumExp, scales + first, active.target + first}, kept);
                        });
  });
  double total = 0;
  for (int64_t i = 0; i < active.count; i++)
    total -= static_cast<double>(weights[active.row[i]]) * static_cast<double>(logProb[i]);
  *loss = static_cast<float>(total);
}

}  // namespace mixtune
