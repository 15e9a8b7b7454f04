// Attention of new tokens over a cache of keys and values.
#pragma once

#include "operations.h"
#include "rotary.h"

namespace mixtune {

/** New rows and the cache of one layer: keys, values [sequences, kvHeads, capacity, headDim]. */
struct CachedRows {
  int64_t rows, sequenceCount, capacity;
  HeadShape shape;
  double theta;
  const int32_t* sequences;
  const int32_t* positions;
  float* keys;
  float* values;

  int64_t cacheSize() const { return sequenceCount * shape.kvHeads * capacity * shape.headDim; }
  int64_t cacheOffset(int64_t row, int64_t kvHead) const {
    return (sequences[row] * shape.kvHeads + kvHead) * capacity * shape.headDim;
  }
  /** `count` of the rows, from `first` on. */
  CachedRows part(int64_t first, int64_t count) const {
    CachedRows part = *this;
    part.rows = count;
    part.sequences += first;
    part.positions += first;
    return part;
  }
};

/** Throws where a row is outside the cache. */
void checkRows(const CachedRows& at);

/**
 * Writes keys and values of all rows of qkv [rows, (heads + 2·kvHeads)·headDim] into the cache, then lets each query
 * attend to its own sequence up to its own position: out [rows, heads·headDim].
 */
void attendCached(Engine& engine, const CachedRows& at, const RotaryTable& table, const float* qkv, float* out);

/** Blocked attention for `count` rows of one sequence, from `row` on, and one key-value head; queries are rotated. */
void attendRun(const CachedRows& at, int64_t row, int64_t count, int64_t kvHead, const float* queries, float* out,
               Scratch& scratch);

}  // namespace mixtune
