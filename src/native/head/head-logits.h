// The logits of the output head as they are computed: summed up and searched for targets.
#pragma once

#include <cmath>
#include <cstring>
#include <limits>
#include <string>

#include "products/gemm.h"

namespace mixtune {

/** Number of rows and of columns of the vocabulary in a task of the forward pass. */
constexpr int64_t kTaskRows = 24 * kVectorRows;
constexpr int64_t kTaskColumns = 4096;

/** The rows that have a target, gathered. */
struct ActiveRows {
  int64_t count = 0;
  const int64_t* row;
  const int32_t* target;
  const float* hidden;
};

/** Gathers the rows that have a target and, if `weights` are given, a weight other than zero. */
inline ActiveRows collect(Engine& engine, const int32_t* targets, const float* weights, int64_t rows,
                          int64_t vocabulary, const float* hidden, int64_t width) {
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

/** Σ exp(x − reference) over some of a row's logits. */
struct LogSum {
  float reference = -std::numeric_limits<float>::infinity();
  float sum = 0;

  void add(const LogSum& other) {
    const float next = std::max(reference, other.reference);
    sum = sum * std::exp(reference - next) + other.sum * std::exp(other.reference - next);
    reference = next;
  }

  float value() const { return reference + std::log(sum); }
};

/**
 * Epilogue of logits = hidden · headᵀ for a part of the vocabulary that begins at `first`: sums the exponentials of
 * each row and picks out the logits of the targets.
 */
template <class T>
struct SumExponentials : NoPrefetch {
  const int32_t* target;
  int64_t first, columns;
  float* reference;
  /** A sum for each lane, [rows][kLanes]. */
  float* sums;
  float* targetLogit;

  void operator()(int64_t row, int64_t count, int64_t panel, const float* logits) const {
    const int64_t column = panel * kPanel, left = columns - column;
    for (int64_t r = row; r < row + count; r++, logits += kPanel) {
      Vec a = load(logits), b = load(logits + kLanes);
      const int64_t at = target[r] - first - column;
      if (at >= 0 && at < kPanel) targetLogit[r] = logits[at];
      if (left < kPanel) {
        const float lowest = -std::numeric_limits<float>::infinity();
        a = firstLanes(a, left, lowest);
        b = firstLanes(b, left - kLanes, lowest);
      }
      Vec sum = panel == 0 ? Vec{} : load(sums + r * kLanes);
      refer(r, panel == 0, maximum(a, b), sum);
      store(sums + r * kLanes, sum + (T::exponential(a - reference[r]) + T::exponential(b - reference[r])));
    }
  }

  /** The first panel sets the reference of the exponentials; a logit far above it changes it. */
  void refer(int64_t r, bool fresh, Vec largest, Vec& sum) const {
    constexpr float kFar = 40;
    if (!fresh && !anyLane(largest > splat(reference[r] + kFar))) return;
    const float next = maxOfLanes(largest);
    if (!fresh) sum = sum * std::exp(reference[r] - next);
    reference[r] = next;
  }
};

/**
 * Computes the log-probabilities of the targets and the log-sum-exps of the active rows [first, first + count).
 */
template <class T>
void logProbs(Engine& engine, const ActiveRows& active, Left<typename T::Unit> left, const typename T::Unit* panels,
              int64_t first, int64_t count, int64_t units, int64_t vocabulary, float* logProb, float* logSumExp) {
  const int64_t rowTasks = divideUp(count, kTaskRows), parts = divideUp(vocabulary, kTaskColumns);
  LogSum* sums = engine.scratch.take<LogSum>(parts * count);
  float* targetLogit = engine.scratch.take<float>(count);

  engine.team.parallel(rowTasks * parts, [&](int64_t task, int thread) {
    const int64_t part = task % parts, row = task / parts * kTaskRows, rows = std::min(kTaskRows, count - row);
    const int64_t column = part * kTaskColumns, columns = std::min(kTaskColumns, vocabulary - column);
    Scratch& scratch = engine.scratchOf(thread);
    scratch.reset();
    SumExponentials<T> epilogue{};
    epilogue.target = active.target + first + row;
    epilogue.first = column;
    epilogue.columns = columns;
    epilogue.reference = scratch.take<float>(kTaskRows);
    epilogue.sums = scratch.take<float>(kTaskRows * kLanes);
    epilogue.targetLogit = targetLogit + row;
    multiplyTiles<T>(rows, divideUp(columns, kPanel), units, left.from(first + row),
                     panels + column / kPanel * panelStride(units), panelStride(units), scratch, epilogue);
    for (int64_t i = 0; i < rows; i++)
      sums[part * count + row + i] = {epilogue.reference[i], sumOfLanes(load(epilogue.sums + i * kLanes))};
  });

  for (int64_t i = 0; i < count; i++) {
    LogSum whole = sums[i];
    for (int64_t part = 1; part < parts; part++) whole.add(sums[part * count + i]);
    logSumExp[i] = whole.value();
    logProb[i] = targetLogit[i] - whole.value();
  }
}

}  // namespace mixtune
