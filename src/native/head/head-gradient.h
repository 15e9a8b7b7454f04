// The gradient of the output head. The gradient of the logits is scale · (softmax − one-hot), where softmax = e / Σ e
// with e = exp(logit − reference). One pass over the vocabulary computes e, its sum and its product with the head; the
// product, which is then scaled row by row, is only as large as the hidden states.
#pragma once

#include "head/head-logits.h"

namespace mixtune {

/**
 * Columns of the vocabulary between two synchronisations of the threads, which share these rows of the head in cache.
 */
constexpr int64_t kBlockColumns = 2048;
/** Columns of a block whose exponentials a thread holds at a time. */
constexpr int64_t kTermColumns = 512;
/** Maximum number of rows of a task. */
constexpr int64_t kBlockRows = 24 * kVectorRows;
/** Limit on the exponentials kept for the gradient of the head, in bytes. */
constexpr int64_t kExponentialBytes = 64 << 20;
/** e⁴⁰: if a sum is larger, a logit is so far above the reference that another reference is needed. */
constexpr float kLargestSum = 2.3e17f;

/** The targets for the gradients of hidden states and head; either may be null. */
struct HeadGradient {
  float* dHidden;
  bool accumulateDHidden;
  float* dHead;
  bool accumulateDHead;
};

/** The unnormalised softmax of a chunk of rows, with its sums. */
template <class T>
struct Exponentials {
  /**
   * For each row: the reference of its exponentials, the sum of e in kLanes parts, the target's logit, and the rounding
   * error of the target's e.
   */
  float* reference;
  float* sums;
  float* targetLogit;
  float* targetError;
  /** Σ e · head, [rows, width]; null if the gradient of hidden states is not wanted. */
  float* product;
  /** e by column of the vocabulary; null if the gradient of the head is not wanted. */
  TokenPanels<T> tokens;

  Exponentials(Scratch& scratch, int64_t rows, int64_t width, int64_t vocabulary, const HeadGradient& at)
      : reference(scratch.take<float>(rows)),
        sums(scratch.take<float>(rows * kLanes)),
        targetLogit(scratch.take<float>(rows)),
        targetError(scratch.take<float>(rows)),
        product(at.dHidden ? scratch.take<float>(rows * width) : nullptr),
        tokens{at.dHead ? scratch.take<typename T::Unit>(TokenPanels<T>::sizeOf(rows, vocabulary)) : nullptr,
               TokenPanels<T>::strideOf(rows), leavesCaches(TokenPanels<T>::sizeOf(rows, vocabulary) * 4)} {}

  float sum(int64_t row) const { return sumOfLanes(load(sums + row * kLanes)); }
};

/**
 * Epilogue of logits = hidden · headᵀ from `column` of the vocabulary, for rows from `first` of the chunk: computes
 * their exponentials, as rows for the product with the head and as token panels.
 */
template <class T>
struct KeepExponentials : NoPrefetch {
  Exponentials<T> to;
  const int32_t* target;
  int64_t first, column, vocabulary;
  bool setReference;
  OperandRows<T> rows;

  void operator()(int64_t row, int64_t count, int64_t panel, const float* logits) const {
    const int64_t at = column + panel * kPanel;
    for (int64_t r = 0; r < count; r += 2, logits += 2 * kPanel) {
      const Piece even = make(row + r, panel, logits);
      const Piece odd = r + 1 < count ? make(row + r + 1, panel, logits + kPanel) : Piece{};
      if (!to.tokens.data) continue;
      to.tokens.put(first + row + r, at, even.first, odd.first);
      if (at + kLanes < vocabulary) to.tokens.put(first + row + r, at + kLanes, even.second, odd.second);
    }
  }

 private:
  struct Piece {
    Vec first, second;
  };

  Piece make(int64_t row, int64_t panel, const float* logits) const {
    const int64_t at = column + panel * kPanel, left = vocabulary - at, index = first + row;
    const Vec a = load(logits), b = load(logits + kLanes);
    if (setReference && at == 0) to.reference[index] = maxOfLanes(maximum(a, left > kLanes ? b : a));
    Piece e = {T::exponential(a - to.reference[index]), T::exponential(b - to.reference[index])};
    if (left < kPanel) e = {firstLanes(e.first, left, 0.0f), firstLanes(e.second, left - kLanes, 0.0f)};
    float* sum = to.sums + index * kLanes;
    store(sum, at == 0 ? e.first + e.second : load(sum) + (e.first + e.second));
    rows.storePiece(row, panel * kPanel, e.first, e.second);
    const int64_t picked = target[row] - at;
    if (picked >= 0 && picked < kPanel) pick(row, panel, picked, logits, e.first, e.second);
    return e;
  }

  /** Stores logit and rounding error of the target. Not inlined, because it would force registers into memory. */
  __attribute__((noinline)) void pick(int64_t row, int64_t panel, int64_t picked, const float* logits, Vec e0,
                                      Vec e1) const {
    const int64_t lane = picked % kLanes;
    to.targetLogit[first + row] = logits[picked];
    to.targetError[first + row] =
        (picked < kLanes ? e0 : e1)[lane] - rows.load(row, panel * kPanel + picked - lane)[lane];
  }
};

/**
 * The pass over the vocabulary for a chunk of rows [count] of `left`. If panels of the head are not kept, they are
 * packed for one block of the vocabulary at a time, which takes little memory and keeps them in cache.
 */
template <class T>
void exponentiate(Engine& engine, int64_t count, int64_t width, int64_t vocabulary, Left<typename T::Unit> left,
                  const float* head, const typename T::Unit* kept, const int32_t* target, bool setReference,
                  const Exponentials<T>& to) {
  using Unit = typename T::Unit;
  const int64_t stride = panelStride(unitsOf<T>(width));
  const int64_t height = RowSplit::evenHeight(count, kProductRows<T>), tiles = divideUp(count, height);
  const int64_t threads = engine.team.size(), blocks = divideUp(count, kBlockRows);
  const int64_t tasks = std::min(tiles, divideUp(blocks, threads) * threads);
  for (int64_t block = 0; block < vocabulary; block += kBlockColumns) {
    const ScratchFrame frame(engine.scratch);
    const int64_t blockColumns = std::min(kBlockColumns, vocabulary - block);
    const float* rowsOfHead = head + block * width;
    const Unit* panels =
        kept ? kept + block / kPanel * stride : packedPanels<T>(engine, rowsOfHead, width, blockColumns);
    const Unit* across = to.product ? weightPanelsAcross<T>(engine, rowsOfHead, blockColumns, width) : nullptr;
    engine.team.parallel(tasks, [&](int64_t task, int thread) {
      const int64_t first = task * tiles / tasks * height;
      const int64_t rows = std::min((task + 1) * tiles / tasks * height, count) - first;
      Scratch& scratch = engine.scratchOf(thread);
      scratch.reset();
      const OperandRows<T> terms(scratch.take<Unit>(OperandRows<T>::sizeOf(rows, kTermColumns)), rows, kTermColumns);
      for (int64_t column = 0; column < blockColumns; column += kTermColumns) {
        const int64_t columns = std::min(kTermColumns, blockColumns - column);
        multiplyTiles<T>(
            rows, divideUp(columns, kPanel), unitsOf<T>(width), left.from(first), panels + column / kPanel * stride,
            stride, scratch,
            KeepExponentials<T>{{}, to, target + first, first, block + column, vocabulary, setReference, terms});
        if (to.product)
          multiplyTiles<T>(rows, divideUp(width, kPanel), unitsOf<T>(columns), terms.left(),
                           across + column / T::kTerms * kPanel, panelStride(unitsOf<T>(blockColumns)), scratch,
                           StoreFloats(to.product + first * width, rows, width, block + column > 0));
      }
    });
  }
}

}  // namespace mixtune
