// Attention of new tokens over a cache of keys and values.
#pragma once

#include <algorithm>
#include <cmath>

#include "layer/attention.h"

namespace mixtune {

/** New rows, each with its sequence and its position in it. */
struct NewRows {
  int64_t count;
  HeadShape shape;
  const int32_t* sequences;
  const int32_t* positions;
  /** Numbers of the rows whose results are wanted, ascending; null for all. */
  const int32_t* wanted = nullptr;
  int64_t wantedCount = 0;
  /** Number of the first row. */
  int64_t first = 0;

  int64_t results() const { return wanted ? wantedCount : count; }
  int64_t rowOf(int64_t result) const { return wanted ? wanted[result] - first : result; }

  NewRows part(int64_t begin, int64_t length) const {
    NewRows part{length, shape, sequences + begin, positions + begin, wanted, 0, first + begin};
    if (!wanted) return part;
    const int32_t* end = std::lower_bound(wanted, wanted + wantedCount, part.first + length);
    part.wanted = std::lower_bound(wanted, end, part.first);
    part.wantedCount = end - part.wanted;
    return part;
  }
};

/**
 * Keys and values of one layer. For each sequence and key-value head they are laid out as right operands of products,
 * so that nothing has to be packed when they are used: keys as panels of kPanel positions for products with queries,
 * values as token panels over the positions. Values after the last position of a sequence are initialised up to the end
 * of its last panel of keys.
 */
template <class T>
struct Cache {
  using Unit = typename T::Unit;
  using Values = TokenPanels<T, kPanel>;
  Unit* keys;
  Unit* values;
  int64_t kvHeads, headDim, keyPanels;

  float scale() const { return 1.0f / std::sqrt(static_cast<float>(headDim)); }
  int64_t units() const { return unitsOf<T>(headDim); }
  int64_t keyStride() const { return panelStride(units()); }
  int64_t valuePanels() const { return divideUp(headDim, kPanel); }
  int64_t valueStride() const { return Values::strideOf(keyPanels * kPanel); }

  Unit* keysOf(int64_t sequence, int64_t kvHead) const {
    return keys + (sequence * kvHeads + kvHead) * keyPanels * keyStride();
  }
  Values valuesOf(int64_t sequence, int64_t kvHead) const {
    return {values + (sequence * kvHeads + kvHead) * valuePanels() * valueStride(), valueStride()};
  }
};

/** Stores a head's result, scaled, as terms [column, column + headDim) of a row. */
template <class T>
inline void putHead(const OperandRows<T>& rows, int64_t row, int64_t column, const float* x, float scale,
                    int64_t headDim) {
  forEachVec(headDim, [&](int64_t i, auto load, auto) {
    rows.store(row, column + i, load(x + i) * scale, std::min<int64_t>(kLanes, headDim - i));
  });
}

/**
 * Writes the keys and values of all rows of qkv [rows, (heads + 2·kvHeads)·headDim] to the cache; then each query whose
 * result is wanted attends to its own sequence up to its own position → out [results, heads·headDim].
 */
template <class T>
void attendCached(Engine& engine, const NewRows& rows, const Cache<T>& cache, const RotaryTable& table,
                  const float* qkv, const OperandRows<T>& out);

/**
 * Attention over the cache of one key-value head for `count` neighbouring rows of one sequence from `row`, a block of
 * queries at a time. All results must be wanted. queries [rows, heads, rowUnits(headDim)] are already rotated.
 */
template <class T>
void attendRun(const NewRows& rows, const Cache<T>& cache, int64_t row, int64_t count, int64_t kvHead,
               const typename T::Unit* queries, const OperandRows<T>& out, Scratch& scratch);

/** Maximum number of positions in the task of a single row: long contexts are split, always at the same places. */
constexpr int64_t kPositionsAtOnce = 256;

/** The softmax of one query over some positions: its largest scaled score, and Σ exp(scale · score − largest). */
struct Softmax {
  float largest, sum;
};

/**
 * Attention of the `group` query heads of one row that share a key-value head, over positions [first, last), at most
 * kPositionsAtOnce and beginning with a whole panel: computes Σ exp(scale · score − largest) · value of each head,
 * [group, headDim], and its softmax. `ahead` are keys to prefetch because they are needed next.
 */
template <class T>
void attendPositions(const Cache<T>& cache, int64_t sequence, int64_t kvHead, int64_t first, int64_t last,
                     int64_t group, const typename T::Unit* queries, const typename T::Unit* ahead, float* out,
                     Softmax* softmaxes);

/**
 * Joins the parts of one head, which are `apart` heads apart, in order of position. Returns the sum of the softmax.
 */
float joinParts(const float* sums, const Softmax* softmaxes, int64_t parts, int64_t apart, int64_t headDim, float* out);

}  // namespace mixtune
