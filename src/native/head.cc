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
constexpr int64_t kTaskRows = 16 * kTileRows;
constexpr int64_t kTaskColumns = 4096;
constexpr int64_t kChunk = 256;
/** Bytes of logits that are held at a time where they are needed twice. */
constexpr int64_t kLogitBytes = 64 << 20;
/** Of the backward pass: columns of the vocabulary at a time, and rows of a task. */
constexpr int64_t kGradientColumns = 2048;
constexpr int64_t kGradientRows = 6 * kTileRows;

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

/** Logits that wait for their gradient: float16 beside bfloat16 products, which are coarser, else floats. */
template <class T>
struct Logits {
#if defined(__AVX512BF16__)
  using Element = std::conditional_t<T::kTerms == 2, uint16_t, float>;
#else
  using Element = float;
#endif

  static void storeVec(Element* to, Vec x) {
#if defined(__AVX512BF16__)
    if constexpr (T::kTerms == 2) {
      // Saturated: an infinite logit would turn the whole row into NaN.
      const __m256i halves = _mm512_cvtps_ph((__m512)clamp(x, -65504.0f, 65504.0f), _MM_FROUND_TO_NEAREST_INT);
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), halves);
      return;
    }
#endif
    std::memcpy(to, &x, sizeof(x));
  }
  static Vec loadVec(const Element* from) {
#if defined(__AVX512BF16__)
    if constexpr (T::kTerms == 2)
      return (Vec)_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
#endif
    Vec x;
    std::memcpy(&x, from, sizeof(x));
    return x;
  }
};

/** Elements from one row of kept logits to the next: whole vectors. */
int64_t logitStride(int64_t vocabulary) { return (vocabulary + kPanel - 1) / kPanel * kPanel; }

/**
 * Log-probabilities of the targets and log-sum-exps of rows [first, first + count) of the active ones, by index there.
 * Where `kept` is given it gets their logits.
 */
template <class T>
void logProbs(Engine& engine, const ActiveRows& active, Left<typename T::Unit> left, const typename T::Unit* panels,
              int64_t first, int64_t count, int64_t units, int64_t vocabulary, float* logProb, float* logSumExp,
              typename Logits<T>::Element* kept) {
  const int64_t rowTasks = divideUp(count, kTaskRows), parts = divideUp(vocabulary, kTaskColumns);
  LogSum* sums = engine.scratch.take<LogSum>(parts * count);
  float* targetLogit = engine.scratch.take<float>(count);

  engine.team.parallel(rowTasks * parts, [&](int64_t task, int thread) {
    const int64_t part = task % parts, row = task / parts * kTaskRows, rows = std::min(kTaskRows, count - row);
    const int64_t lastColumn = std::min(vocabulary, (part + 1) * kTaskColumns);
    engine.scratchOf(thread).reset();
    float* logits = engine.scratchOf(thread).take<float>(kTaskRows * kChunk);
    LogSum* sum = sums + part * count + row;
    std::fill_n(sum, rows, LogSum());
    for (int64_t column = part * kTaskColumns; column < lastColumn; column += kChunk) {
      const int64_t columns = std::min(kChunk, lastColumn - column);
      multiplyPanels<typename T::Unit, false>(rows, columns, units,
                                              {left.data + (first + row) * left.stride, left.stride},
                                              panels + column / kPanel * panelStride(units), panelStride(units), logits,
                                              kChunk, false);
      for (int64_t i = 0; i < rows; i++) {
        sum[i].add(logits + i * kChunk, columns);
        const int64_t target = active.target[first + row + i] - column;
        if (target >= 0 && target < columns) targetLogit[row + i] = logits[i * kChunk + target];
        if (!kept) continue;
        auto* to = kept + (row + i) * logitStride(vocabulary) + column;
        for (int64_t k = 0; k < columns; k += kLanes) Logits<T>::storeVec(to + k, load(logits + i * kChunk + k));
      }
    }
  });

  for (int64_t i = 0; i < count; i++) {
    LogSum whole = sums[i];
    for (int64_t part = 1; part < parts; part++) whole.add(sums[part * count + i]);
    logSumExp[i] = whole.value();
    logProb[i] = targetLogit[i] - whole.value();
  }
}

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
 * from `token` on. logit(i, k) loads those of row i at column + k.
 */
template <class T, class Load>
void putGradients(const LogitGradient& of, int64_t rows, int64_t column, int64_t columns, const Load& logit,
                  typename T::Unit* out, int64_t stride, int64_t token, const TokenPanels<T>& panels) {
  for (int64_t i = 0; i < rows; i += 2) {
    const int64_t next = std::min(i + 1, rows - 1);
    const float nextScale = i + 1 < rows ? of.scale[next] : 0.0f;
    const int64_t targets[2] = {of.target[i] - column, of.target[next] - column};
    for (int64_t k = 0; k < columns; k += kLanes) {
      Vec even = exponential(logit(i, k) - of.logSumExp[i]) * of.scale[i];
      Vec odd = exponential(logit(next, k) - of.logSumExp[next]) * nextScale;
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
 * logits(first row, rows, column, columns, thread) prepares a block and returns what loads from it.
 */
template <class T, class Prepare>
void backward(Engine& engine, int64_t rows, int64_t width, int64_t vocabulary, Left<typename T::Unit> left,
              const typename T::Unit* across, const LogitGradient& of, float* dHidden, bool accumulateDHidden,
              float* dHead, bool accumulateDHead, const Prepare& prepare) {
  using Unit = typename T::Unit;
  const int64_t stride = unitsOf<T>(kGradientColumns), acrossStride = panelStride(unitsOf<T>(vocabulary));
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
      putGradients<T>(ofBlock, count, column, columns, prepare(first, count, column, columns, scratch), dLogits, stride,
                      first, gradient);
      if (!dHidden) return;
      const StoreFloats finish{dHidden + first * width, width, width, accumulateDHidden || column > 0};
      const int64_t height = RowSplit::evenHeight(count);
      multiplyTiles<T>(count, divideUp(width, kPanel), unitsOf<T>(columns), {dLogits, stride},
                       across + column / T::kTerms * kPanel, acrossStride, height, finish);
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
  const int64_t rows = in.integer(), width = in.integer(), vocabulary = in.integer();
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
  const int64_t rows = in.integer(), width = in.integer(), vocabulary = in.integer();
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
                          const auto compute = [&](int64_t row, int64_t count, int64_t column, int64_t columns,
                                                   Scratch& scratch) {
                            float* logits = scratch.take<float>(kGradientRows * kGradientColumns);
                            multiplyPanels<typename T::Unit, false>(
                                count, columns, units, {left.data + (first + row) * left.stride, left.stride},
                                panels + column / kPanel * stride, stride, logits, kGradientColumns, false);
                            return [logits](int64_t i, int64_t k) { return load(logits + i * kGradientColumns + k); };
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
  const int64_t rows = in.integer(), width = in.integer(), vocabulary = in.integer();
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
                          const auto kept = [&](int64_t row, int64_t, int64_t column, int64_t, Scratch&) {
                            const auto* from = logits + row * stride + column;
                            return [from, stride](int64_t i, int64_t k) {
                              return Logits<T>::loadVec(from + i * stride + k);
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
