// Attention of many new tokens of one sequence: queries in blocks, so that each key and value is read once for many.
#include <cmath>
#include <limits>

#include "attention-blocks.h"
#include "cached-attention.h"

namespace mixtune {

namespace {

/** Queries whose scores are in memory at once. */
constexpr int64_t kQueries = 2 * kTileRows;

/** A row of `count` scores becomes exp(score − largest), zero from there to `end`. Returns the sum. */
float exponentials(float* scores, int64_t count, int64_t end) {
  constexpr float lowest = -std::numeric_limits<float>::infinity();
  Vec best = splat(lowest), total{};
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) best = maximum(load(scores + i), best);
  if (i < count) best = maximum(firstLanes(load(scores + i), count - i, lowest), best);
  const float largest = maxOfLanes(best);
  for (i = 0; i + kLanes <= count; i += kLanes) {
    const Vec p = exponential(load(scores + i) - largest);
    store(scores + i, p);
    total += p;
  }
  if (i < count) {
    const Vec p = firstLanes(exponential(load(scores + i) - largest), count - i, 0.0f);
    store(scores + i, p);
    total += p;
    i += kLanes;
  }
  for (; i < end; i += kLanes) store(scores + i, Vec{});
  return sumOfLanes(total);
}

}  // namespace

void attendRun(const CachedRows& at, int64_t row, int64_t count, int64_t kvHead, const float* queries, float* out,
               Scratch& scratch) {
  const int64_t headDim = at.shape.headDim, width = at.shape.queryWidth(), group = at.shape.group();
  const int64_t cache = at.cacheOffset(row, kvHead), before = at.positions[row], length = before + count;
  const int64_t stride = padded(length);
  scratch.reset();
  float* keyPanels = scratch.take<float>(panelSize(headDim, length));
  float* valuePanels = scratch.take<float>(panelSize(length, headDim));
  float* scores = scratch.take<float>(kQueries * stride);
  packHeads(at.keys + cache, headDim, length, headDim, keyPanels);
  packTokens(at.values + cache, headDim, length, headDim, valuePanels);

  for (int64_t first = 0; first < count; first += kQueries) {
    const int64_t rows = std::min(kQueries, count - first), last = before + first + rows, visible = padded(last);
    for (int64_t head = kvHead * group; head < (kvHead + 1) * group; head++) {
      const int64_t offset = (row + first) * width + head * headDim;
      multiplyPanels<float, false>(rows, visible, headDim, {queries + offset, width}, keyPanels, panelStride(headDim),
                                   scores, stride, false);
      float inverses[kQueries];
      for (int64_t q = 0; q < rows; q++)
        inverses[q] = 1.0f / exponentials(scores + q * stride, before + first + q + 1, visible);
      float* to = out + offset;
      multiplyPanels<float, false>(rows, headDim, last, {scores, stride}, valuePanels, panelStride(length), to, width,
                                   false);
      for (int64_t q = 0; q < rows; q++)
        forEachVec(headDim, [&](int64_t i, auto load, auto store) {
          store(to + q * width + i, load(to + q * width + i) * inverses[q]);
        });
    }
  }
}

}  // namespace mixtune
