// The output head: log-probabilities of target tokens and cross-entropy, in chunks of rows and of the vocabulary.
#include <algorithm>
#include <cstring>

#include "head/head-gradient.h"
#include "engine/operations.h"

namespace mixtune {

namespace {

/**
 * Adds the contribution of a chunk of active rows to the gradients: dHidden = scale · (e · head / Σ e − head row of the
 * target), and dHead correspondingly. The target's −1 and the rounding error of its e are added in float.
 */
template <class T>
void addGradients(Engine& engine, const ActiveRows& active, int64_t first, int64_t count, int64_t width,
                  int64_t vocabulary, const float* head, const float* scale, const Exponentials<T>& of,
                  const HeadGradient& at, bool accumulateDHead) {
  float* inverse = engine.scratch.take<float>(count);
  float* ofTarget = engine.scratch.take<float>(count);
  for (int64_t i = 0; i < count; i++) {
    inverse[i] = scale[i] / of.sum(i);
    ofTarget[i] = of.targetError[i] * inverse[i] - scale[i];
  }
  const int32_t* target = active.target + first;
  const float* hidden = active.hidden + first * width;
  if (at.dHidden)
    engine.team.ranges(count, 32, [&](int64_t begin, int64_t end, int) {
      for (int64_t i = begin; i < end; i++) {
        const float* product = of.product + i * width;
        const float* row = head + target[i] * width;
        float* to = at.dHidden + active.row[first + i] * width;
        forEachVec(width, [&](int64_t k, auto load, auto store) {
          const Vec gradient = load(product + k) * inverse[i] + load(row + k) * ofTarget[i];
          store(to + k, at.accumulateDHidden ? load(to + k) + gradient : gradient);
        });
      }
    });
  if (!at.dHead) return;
  multiplyTokens<T>(engine, vocabulary, width, count, of.tokens,
                    scaledTokenPanels<T>(engine, hidden, inverse, nullptr, count, width), at.dHead, accumulateDHead);
  // Split by columns, because several rows may have the same target.
  engine.team.ranges(width, 4 * kLanes, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = 0; i < count; i++) {
      const float* row = hidden + i * width + begin;
      float* to = at.dHead + target[i] * width + begin;
      forEachVec(end - begin,
                 [&](int64_t k, auto load, auto store) { store(to + k, load(to + k) + load(row + k) * ofTarget[i]); });
    }
  });
}

/** Number of rows of a chunk: even, so that it consists of whole pairs. */
template <class T>
int64_t chunkRowsOf(int64_t rows, int64_t vocabulary) {
  const int64_t bytes = vocabulary * static_cast<int64_t>(sizeof(typename T::Unit)) / T::kTerms;
  const int64_t most = std::max<int64_t>(2, kExponentialBytes / bytes);
  const int64_t even = divideUp(rows, std::max<int64_t>(1, divideUp(rows, most)));
  return std::max<int64_t>(2, even + even % 2);
}

/**
 * Computes the gradients of Σ −scale[i] · log-probability of target i over the active rows. `logSumExp` is null if the
 * log-sum-exps are not known yet. `logProb`, if not null, receives the log-probabilities.
 */
template <class T>
void backward(Engine& engine, const ActiveRows& active, int64_t rows, int64_t width, int64_t vocabulary, Block* head,
              const float* scale, const float* logSumExp, const HeadGradient& at, float* logProb) {
  const float* weight = head->data();
  if (at.dHidden && active.count < rows && !at.accumulateDHidden)
    std::memset(at.dHidden, 0, static_cast<size_t>(rows * width) * sizeof(float));
  if (active.count == 0) {
    if (at.dHead && !at.accumulateDHead)
      std::memset(at.dHead, 0, static_cast<size_t>(vocabulary * width) * sizeof(float));
    return;
  }
  const Left<typename T::Unit> left = leftRows<T>(engine, active.hidden, active.count, width);
  const auto* panels = panelsFromSecondUse<T>(engine, head, width, vocabulary);
  const int64_t chunk = chunkRowsOf<T>(active.count, vocabulary), units = unitsOf<T>(width);
  const Exponentials<T> exponentials(engine.scratch, chunk, width, vocabulary, at);
  for (int64_t first = 0; first < active.count; first += chunk) {
    const int64_t count = std::min(chunk, active.count - first);
    const auto run = [&](const float* reference) {
      if (reference) std::copy_n(reference, count, exponentials.reference);
      exponentiate<T>(engine, count, width, vocabulary, left.from(first), weight, panels, active.target + first,
                      !reference, exponentials);
    };
    run(logSumExp ? logSumExp + first : nullptr);
    bool near = true;
    for (int64_t i = 0; i < count; i++) near &= exponentials.sum(i) <= kLargestSum;
    if (!near) {
      float* exact = engine.scratch.take<float>(count);
      if (!panels) panels = packedPanels<T>(engine, weight, width, vocabulary);
      logProbs<T>(engine, active, left, panels, first, count, units, vocabulary, engine.scratch.take<float>(count),
                  exact);
      run(exact);
    }
    if (logProb)
      for (int64_t i = 0; i < count; i++)
        logProb[first + i] = exponentials.targetLogit[i] - exponentials.reference[i] - std::log(exponentials.sum(i));
    addGradients<T>(engine, active, first, count, width, vocabulary, weight, scale + first, exponentials, at,
                    at.accumulateDHead || first > 0);
  }
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
                logProbOfActive, logSumExpOfActive);
  });
  for (int64_t i = 0; i < active.count; i++) {
    logProb[active.row[i]] = logProbOfActive[i];
    logSumExp[active.row[i]] = logSumExpOfActive[i];
  }
}

/**
 * rows, hidden size, vocabulary, accumulate dHidden?, accumulate dHead?, dLogProbs, hidden, head, targets, logSumExp,
 * dHidden or 0, dHead or 0.
 */
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
    backward<decltype(kind)>(engine, active, rows, width, vocabulary, head, scales, sums, at, nullptr);
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
    backward<decltype(kind)>(engine, active, rows, width, vocabulary, head, scales, nullptr, at, logProb);
  });
  double total = 0;
  for (int64_t i = 0; i < active.count; i++)
    total -= static_cast<double>(weights[active.row[i]]) * static_cast<double>(logProb[i]);
  *loss = static_cast<float>(total);
}

}  // namespace mixtune
