// Attention of new tokens over a cache of keys and values.
#pragma once

#include "attention.h"

namespace mixtune {

/** New rows, each of a sequence and with its position there. */
struct NewRows {
  int64_t count;
  HeadShape shape;
  const int32_t* sequences;
  const int32_t* positions;

  NewRows part(int64_t first, int64_t length) const { return {length, shape, sequences + first, positions + first}; }
};

/** Keys and values of one layer [sequences, kvHeads, capacity, row of a head], as operands of products. */
template <class T>
struct Cache {
  using Unit = typename T::Unit;
  Unit* keys;
  Unit* values;
  int64_t kvHeads, capacity, headDim;

  /** Units of a head that hold terms, and units from one row to the next. */
  int64_t units() const { return unitsOf<T>(headDim); }
  int64_t stride() const { return rowUnits<T>(headDim); }
  int64_t offset(int64_t sequence, int64_t kvHead, int64_t position) const {
    return ((sequence * kvHeads + kvHead) * capacity + position) * stride();
  }
};

/** `count` floats from `column` (a multiple of kLanes) of a row of units. */
template <class T>
inline Vec headTerms(const typename T::Unit* row, int64_t column, int64_t count) {
  return count >= kLanes ? loadTerms<T>(row, column) : loadTerms<T>(row, column, count);
}

/** A head's result, scaled, as terms [column, column + headDim) of a row of units. */
template <class T>
inline void putHead(typename T::Unit* row, int64_t column, const float* x, float scale, int64_t headDim) {
  int64_t i = 0;
  for (; i + kLanes <= headDim; i += kLanes) storeTerms<T>(row, column + i, load(x + i) * scale);
  if (i < headDim) storeTerms<T>(row, column + i, loadPart(x + i, headDim - i) * scale, headDim - i);
}

/**
 * Writes keys and values of all rows of qkv [rows, (heads + 2·kvHeads)·headDim] into the cache, then lets each query
 * attend to its own sequence up to its own position: out [rows, row of heads·headDim].
 */
template <class T>
void attendCached(Engine& engine, const NewRows& rows, const Cache<T>& cache, const RotaryTable& table,
                  const float* qkv, typename T::Unit* out);

/**
 * The same for `count` neighbouring rows of one sequence, from `row` on, and one key-value head, a block of queries at a
 * time; queries [rows, heads, row of a head] are rotated and scaled.
 */
template <class T>
void attendRun(const NewRows& rows, const Cache<T>& cache, int64_t row, int64_t count, int64_t kvHead,
               const typename T::Unit* queries, typename T::Unit* out, Scratch& scratch);

/** Positions that a single row's task covers: long contexts are split, always at the same places. */
constexpr int64_t kPositionsAtOnce = 256;

/** Of one query over some positions: its largest score, and the sum of exp(score − largest). */
struct Softmax {
  float largest, sum;
};

/**
 * The `group` query heads of one row that share a key-value head, over at most kPositionsAtOnce neighbouring positions
 * from offset `from` of the cache on: Σ exp(score − largest) · value of each head [group, headDim], and its softmax.
 */
template <class T>
void attendPositions(const Cache<T>& cache, int64_t from, int64_t count, int64_t group, const typename T::Unit* queries,
                     float* out, Softmax* softmaxes);

/** Joins the parts of one head, `apart` heads from each other, in order of their positions. Returns the softmax's sum. */
float joinParts(const float* sums, const Softmax* softmaxes, int64_t parts, int64_t apart, int64_t headDim, float* out);

}  // namespace mixtune
