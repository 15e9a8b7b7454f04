// What the two passes of attention share: how the work is divided, and layouts of one head's keys and values.
#pragma once

#include <algorithm>

#include "pack.h"
#include "rotary.h"

namespace mixtune {

/** Queries [first, last) of one head (forward) or all of one key-value head (backward), in the rows from `begin` on. */
struct AttentionTask {
  int64_t begin, length, head, first, last;
};

struct AttentionInputs {
  int64_t rows;
  HeadShape shape;
  double theta;
  const int32_t* segments;
  int64_t segmentCount;
};

/** The numbers that both passes begin with: rows, segments, heads, kvHeads, headDim, theta. */
inline AttentionInputs readShape(Arguments& in) {
  AttentionInputs at{};
  at.rows = in.integer();
  at.segmentCount = in.integer();
  at.shape.heads = in.integer();
  at.shape.kvHeads = in.integer();
  at.shape.headDim = in.integer();
  at.theta = in.number();
  return at;
}

inline void readSegments(Arguments& in, AttentionInputs& at) {
  at.segments = in.read<int32_t>(at.segmentCount + 1);
  int64_t before = 0;
  for (int64_t s = 0; s <= at.segmentCount; s++) {
    if (at.segments[s] < before || at.segments[s] > at.rows)
      throw std::runtime_error("segments are not ascending row offsets");
    before = at.segments[s];
  }
}

inline int64_t padded(int64_t count) { return (count + kPanel - 1) / kPanel * kPanel; }

/** Panels whose inner dimension is the head's: for products with transposed keys or values. */
inline void packHeads(const float* rows, int64_t stride, int64_t length, int64_t headDim, float* out) {
  for (int64_t first = 0; first < length; first += kPanel)
    packTransposed<Float>(rows + first * stride, stride, std::min<int64_t>(kPanel, length - first), headDim,
                          out + first / kPanel * panelStride(headDim));
}

/** Panels whose inner dimension is the token's. */
inline void packTokens(const float* rows, int64_t stride, int64_t length, int64_t headDim, float* out) {
  packStraight<Float>(rows, stride, headDim, length, kPanel, out);
}

/** Floats that panels of `columns` columns take. */
inline int64_t panelSize(int64_t depth, int64_t columns) {
  return (columns + kPanel - 1) / kPanel * panelStride(depth);
}

/**
 * Rows of scores are padded to whole panels: what lies beyond the causal limit is computed along and cleared. All loops
 * over a row therefore go in whole vectors.
 */
inline int64_t wholeVectors(int64_t count) { return (count + kLanes - 1) / kLanes * kLanes; }

}  // namespace mixtune
