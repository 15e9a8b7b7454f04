// The output head: log-probabilities of target tokens and cross-entropy, in chunks of rows and of the vocabulary.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>

#include "gemm.h"
#include "operations.h"

namespace mixtune {

namespace {

/** Rows, and columns of the vocabulary, of one task of the forward pass; and how many columns at a time. */
constexpr int64_t kTaskRows = 8 * kTileRows;
constexpr int64_t kTaskColumns = 4096;
constexpr int64_t kChunk = 512;
/** Logits that the backward pass holds at a time (64 MB). */
constexpr int64_t kLogits = 1 << 24;

/** The rows that have a target, put together. */
struct ActiveRows {
  int64_t count = 0;
  const int64_t* row;
  const int32_t* target;
  const float* hidden;
};

/** `weights`, when given, drops rows of weight zero as well. */
ActiveRows collect(Engine& engine, const int32_t* targets, const float* weights, int64_t rows, int64_t vocabulary,
                   const float* hidden, int64_t width) {
  ActiveRows active;
  int64_t* row = engine.scratch.take<int64_t>(rows);
  int32_t* target = engine.scratch.take<int32_t>(rows);
  for (int64_t i = 0; i < rows; i++) {
    if (targets[i] >= vocabulary || targets[i] < -1)
      throw std::runtime_error("target " + std::to_string(targets[i]) + " of row " + std::to_string(i) +
                               " is outside a vocabulary of " + std::to_string(vocabulary));
    if (targets[i] < 0 || (weights && weights[i] == 0)) continue;
    row[active.count] = i;
    target[active.count++] = targets[i];
  }
  active.row = row;
  active.target = target;
  active.hidden = hidden;
  if (active.count == rows) return active;
  float* together = engine.scratch.take<float>(active.count * width);
  for (int64_t i = 0; i < active.count; i++)
    std::memcpy(together + i * width, hidden + row[i] * width, static_cast<size_t>(width) * sizeof(float));
  active.hidden = together;
  return active;
}

/** A running log-sum-exp: `sum` of exp(x − max). */
struct LogSum {
  float max = -std::numeric_limits<float>::infinity();
  float sum = 0;

  void add(const float* x, int64_t count) {
    Vec largest = splat(max);
    const Vec lowest = splat(-std::numeric_limits<float>::infinity());
    int64_t whole = count / kLanes * kLanes;
    for (int64_t i = 0; i < whole; i += kLanes) largest = maximum(load(x + i), largest);
    for (int64_t i = whole; i < count; i++) largest = maximum(splat(x[i]), largest);
    const float next = maxOfLanes(largest);
    Vec total{};
    for (int64_t i = 0; i < whole; i += kLanes) total += exponential(load(x + i) - next);
    if (whole < count) {
      Vec rest = lowest;
      std::memcpy(&rest, x + whole, static_cast<size_t>(count - whole) * sizeof(float));
      total += exponential(rest - next);
    }
    sum = (max == next ? sum : sum * exponential(splat(max - next))[0]) + sumOfLanes(total);
    max = next;
  }

  void add(const LogSum& other) {
    const float next = std::max(max, other.max);
    sum = sum * std::exp(max - next) + other.sum * std::exp(other.max - next);
    max = next;
  }

  float value() const { return max + std::log(sum); }
};

template <class T>
void logProbs(Engine& engine, const ActiveRows& active, Block* head, int64_t width, int64_t vocabulary, float* logProb,
              float* logSumExp) {
  const typename T::Unit* panels = weightPanels<T>(engine, head, &Block::forward, width, vocabulary);
  const Left<typename T::Unit> left = leftRows<T>(engine, active.hidden, width, active.count, width);
  const int64_t units = unitsOf<T>(width);
  const int64_t rowTasks = (active.count + kTaskRows - 1) / kTaskRows;
  const int64_t parts = (vocabulary + kTaskColumns - 1) / kTaskColumns;
  LogSum* sums = engine.scratch.take<LogSum>(parts * active.count);
  float* targetLogit = engine.scratch.take<float>(active.count);

  engine.team.parallel(rowTasks * parts, [&](int64_t task, int thread) {
    const int64_t part = task / rowTasks, first = task % rowTasks * kTaskRows;
    const int64_t count = std::min(kTaskRows, active.count - first);
    const int64_t lastColumn = std::min(vocabulary, (part + 1) * kTaskColumns);
    engine.scratchOf(thread).reset();
    float* logits = engine.scratchOf(thread).take<float>(kTaskRows * kChunk);
    LogSum* sum = sums + part * active.count + first;
    std::fill_n(sum, count, LogSum());
    for (int64_t column = part * kTaskColumns; column < lastColumn; column += kChunk) {
      const int64_t columns = std::min(kChunk, lastColumn - column);
      multiplyPanels<typename T::Unit, false>(count, columns, units, {left.data + first * left.stride, left.stride},
                                              panels + column / kPanel * panelStride(units), panelStride(units), logits,
                                              kChunk, false);
      for (int64_t i = 0; i < count; i++) {
        sum[i].add(logits + i * kChunk, columns);
        const int64_t target = active.target[first + i] - column;
        if (target >= 0 && target < columns) targetLogit[first + i] = logits[i * kChunk + target];
      }
    }
  });

  for (int64_t i = 0; i < active.count; i++) {
    LogSum whole = sums[i];
    for (int64_t part = 1; part < parts; part++) whole.add(sums[part * active.count + i]);
    logSumExp[active.row[i]] = whole.value();
    logProb[active.row[i]] = targetLogit[i] - whole.value();
  }
}

/** Turns one row of logits into scale · (softmax − one-hot), its log-sum-exp being known. */
void logitGradient(float* logits, int64_t vocabulary, float logSumExp, float scale, int32_t target) {
  forEachVec(vocabulary, [&](int64_t i, auto load, auto store) {
    store(logits + i, exponential(load(logits + i) - logSumExp) * scale);
  });
  logits[target] -= scale;
}

/** The same where it is not known. Returns the log-probability of the target. */
float logitGradient(float* logits, int64_t vocabulary, float scale, int32_t target) {
  Vec best = splat(logits[0]);
  forEachVec(vocabulary / kLanes * kLanes, [&](int64_t i, auto load, auto) { best = maximum(load(logits + i), best); });
  for (int64_t i = vocabulary / kLanes * kLanes; i < vocabulary; i++) best = maximum(splat(logits[i]), best);
  const float largest = maxOfLanes(best), logit = logits[target];
  double sum = 0;
  for (int64_t first = 0; first < vocabulary; first += kChunk) {
    Vec total{};
    forEachVec(std::min(kChunk, vocabulary - first), [&](int64_t i, auto load, auto store) {
      store(logits + first + i, exponential(load(logits + first + i) - largest));
      total += load(logits + first + i);
    });
    sum += static_cast<double>(sumOfLanes(total));
  }
  const float factor = static_cast<float>(static_cast<double>(scale) / sum);
  forEachVec(vocabulary, [&](int64_t i, auto load, auto store) { store(logits + i, load(logits + i) * factor); });
  logits[target] -= scale;
  return logit - largest - static_cast<float>(std::log(sum));
}

struct HeadGradient {
  Block* head;
  int64_t width, vocabulary;
  float* dHidden;
  bool accumulateDHidden;
  float* dHead;
  bool accumulateDHead;
};

/** turn(active index, its logits) makes the logits of a row their gradient. */
template <class Turn>
void backward(Engine& engine, const ActiveRows& active, int64_t rows, const HeadGradient& at, const Turn& turn) {
  const int64_t width = at.width, vocabulary = at.vocabulary;
  const bool all = active.count == rows;
  if (at.dHidden && !all && !at.accumulateDHidden)
    std::memset(at.dHidden, 0, static_cast<size_t>(rows * width) * sizeof(float));
  if (at.dHead && !at.accumulateDHead)
    std::memset(at.dHead, 0, static_cast<size_t>(vocabulary * width) * sizeof(float));
  if (active.count == 0) return;
  const int64_t chunks = (active.count * vocabulary + kLogits - 1) / kLogits;
  const int64_t chunkRows = (active.count + chunks - 1) / chunks;
  float* logits = engine.scratch.take<float>(chunkRows * vocabulary);
  float* part = all || !at.dHidden ? nullptr : engine.scratch.take<float>(chunkRows * width);

  for (int64_t first = 0; first < active.count; first += chunkRows) {
    const int64_t count = std::min(chunkRows, active.count - first);
    const float* hidden = active.hidden + first * width;
    multiplyByWeight(engine, count, vocabulary, width, {hidden, width, false}, at.head, &Block::forward, logits,
                     vocabulary, false);
    engine.team.ranges(count, 8192 / vocabulary + 1, [&](int64_t begin, int64_t end, int) {
      for (int64_t i = begin; i < end; i++) turn(first + i, logits + i * vocabulary);
    });
    if (at.dHead)
      multiply(engine, vocabulary, width, count, {logits, vocabulary, true}, {hidden, width, false}, at.dHead, width,
               true);
    if (!at.dHidden) continue;
    float* to = all ? at.dHidden + first * width : part;
    multiplyByWeight(engine, count, width, vocabulary, {logits, vocabulary, false}, at.head, &Block::inputGradient, to,
                     width, all && at.accumulateDHidden);
    if (all) continue;
    for (int64_t i = 0; i < count; i++) {
      float* row = at.dHidden + active.row[first + i] * width;
      forEachVec(width,
                 [&](int64_t k, auto load, auto store) { store(row + k, load(row + k) + load(part + i * width + k)); });
    }
  }
}

}  // namespace

/** rows, hidden size, vocabulary, hidden, head, targets, logProbs, logSumExp. */
void operations::tokenLogProbs(Engine& engine, Arguments& in) {
  const int64_t rows = in.integer(), width = in.integer(), vocabulary = in.integer();
  const float* hidden = in.read(rows * width);
  Block* head = in.block<float>(vocabulary * width);
  const int32_t* targets = in.read<int32_t>(rows);
  float* logProb = in.write(rows);
  float* logSumExp = in.write(rows);
  const ActiveRows active = collect(engine, targets, nullptr, rows, vocabulary, hidden, width);
  std::fill_n(logProb, rows, 0.0f);
  std::fill_n(logSumExp, rows, 0.0f);
  if (active.count == 0) return;
  inPrecision(engine, [&](auto kind) {
    logProbs<decltype(kind)>(engine, active, head, width, vocabulary, logProb, logSumExp);
  });
}

/** rows, hidden size, vocabulary, accumulate dHidden?, accumulate dHead?, dLogProbs, hidden, head, targets, logSumExp,
 * dHidden or 0, dHead or 0. */
void operations::tokenLogProbsGradient(Engine& engine, Arguments& in) {
  const int64_t rows = in.integer(), width = in.integer(), vocabulary = in.integer();
  const bool accumulateDHidden = in.flag(), accumulateDHead = in.flag();
  const float* dLogProb = in.read(rows);
  const float* hidden = in.read(rows * width);
  Block* head = in.block<float>(vocabulary * width);
  const int32_t* targets = in.read<int32_t>(rows);
  const float* logSumExp = in.read(rows);
  float* dHidden = in.write(rows * width);
  float* dHead = in.write(vocabulary * width);
  const ActiveRows active = collect(engine, targets, dLogProb, rows, vocabulary, hidden, width);
  const HeadGradient at{head, width, vocabulary, dHidden, accumulateDHidden, dHead, accumulateDHead};
  backward(engine, active, rows, at, [&](int64_t i, float* logits) {
    logitGradient(logits, vocabulary, logSumExp[active.row[i]], -dLogProb[active.row[i]], active.target[i]);
  });
}

/** rows, hidden size, vocabulary, hidden, head, targets, weights, loss, dHidden, dHead. */
void operations::crossEntropyWithGradient(Engine& engine, Arguments& in) {
  const int64_t rows = in.integer(), width = in.integer(), vocabulary = in.integer();
  const float* hidden = in.read(rows * width);
  Block* head = in.block<float>(vocabulary * width);
  const int32_t* targets = in.read<int32_t>(rows);
  const float* weights = in.read(rows);
  float* loss = in.write(1);
  float* dHidden = in.write(rows * width);
  float* dHead = in.write(vocabulary * width);
  const ActiveRows active = collect(engine, targets, weights, rows, vocabulary, hidden, width);
  float* logProb = engine.scratch.take<float>(active.count);
  const HeadGradient at{head, width, vocabulary, dHidden, false, dHead, true};
  backward(engine, active, rows, at, [&](int64_t i, float* logits) {
    logProb[i] = logitGradient(logits, vocabulary, weights[active.row[i]], active.target[i]);
  });
  double total = 0;
  for (int64_t i = 0; i < active.count; i++)
    total -= static_cast<double>(weights[active.row[i]]) * static_cast<double>(logProb[i]);
  *loss = static_cast<float>(total);
}

}  // namespace mixtune
