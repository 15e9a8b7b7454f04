// The gradient of causal attention: scores are computed again, for a block of queries at a time.
#include <cmath>
#include <cstring>
#include <vector>

#include "attention-blocks.h"
#include "operations.h"

namespace mixtune {

namespace {

/** Queries whose scores are in memory at once. */
constexpr int64_t kQueries = 4 * kTileRows;

/**
 * Turns scores and gradients of probabilities into probabilities p and gradients of scores p · (dp − mean) · scale, for
 * the first `count` of a row; the rest up to `end` becomes zero in both.
 */
void scoreGradients(float* scores, float* dp, int64_t count, int64_t end, float scale, float logSumExp, float mean) {
  const auto step = [&](int64_t i, int64_t lanes) {
    Vec p = exponential(load(scores + i) * scale - logSumExp), ds = p * (load(dp + i) - mean) * scale;
    if (lanes < kLanes) {
      p = firstLanes(p, lanes, 0.0f);
      ds = firstLanes(ds, lanes, 0.0f);
    }
    store(scores + i, p);
    store(dp + i, ds);
  };
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) step(i, kLanes);
  if (i < count) step(i, count - i);
  for (i = wholeVectors(count); i < end; i += kLanes) {
    store(scores + i, Vec{});
    store(dp + i, Vec{});
  }
}

/** What one task of the backward pass works on. */
struct Backward {
  const float* keyPanels;
  const float* valuePanels;
  const float* keyTokens;
  float* dKeys;
  float* dValues;
  float* queryTokens;
  float* dOutTokens;
  float* scores;
  float* dScores;
  int64_t stride;
};

/** Queries [first, last) of `head`: adds to dKeys and dValues, writes the (rotated) gradient of the queries. */
void backwardBlock(const AttentionInputs& at, const AttentionTask& task, int64_t head, int64_t first, int64_t last,
                   const float* dOut, const float* rotated, const float* out, const float* logSumExp, float* dQkv,
                   const Backward& b) {
  const int64_t headDim = at.shape.headDim, width = at.shape.width(), outWidth = at.shape.queryWidth();
  const int64_t count = last - first, visible = padded(last), row = task.begin + first;
  const float scale = 1.0f / std::sqrt(static_cast<float>(headDim));
  const float* queries = rotated + row * width + head * headDim;
  const float* above = dOut + row * outWidth + head * headDim;
  const float* result = out + row * outWidth + head * headDim;

  multiplyPanels<float, false>(count, visible, headDim, {queries, width}, b.keyPanels, panelStride(headDim), b.scores,
                               b.stride, false);
  multiplyPanels<float, false>(count, visible, headDim, {above, outWidth}, b.valuePanels, panelStride(headDim),
                               b.dScores, b.stride, false);
  for (int64_t q = 0; q < count; q++) {
    float* p = b.scores + q * b.stride;
    float* dp = b.dScores + q * b.stride;
    Vec total{};
    forEachVec(headDim, [&](int64_t i, auto load, auto) {
      total += load(above + q * outWidth + i) * load(result + q * outWidth + i);
    });
    scoreGradients(p, dp, first + q + 1, visible, scale, logSumExp[head * at.rows + row + q], sumOfLanes(total));
  }
  packTokens(queries, width, count, headDim, b.queryTokens);
  packTokens(above, outWidth, count, headDim, b.dOutTokens);
  multiplyPanels<float, true>(last, headDim, count, {b.scores, b.stride}, b.dOutTokens, panelStride(count), b.dValues,
                              headDim, true);
  multiplyPanels<float, true>(last, headDim, count, {b.dScores, b.stride}, b.queryTokens, panelStride(count), b.dKeys,
                              headDim, true);
  multiplyPanels<float, false>(count, headDim, last, {b.dScores, b.stride}, b.keyTokens, panelStride(task.length),
                               dQkv + row * width + head * headDim, width, false);
}

void backwardTask(const AttentionInputs& at, const AttentionTask& task, const float* dOut, const float* rotated,
                  const float* out, const float* logSumExp, const int32_t* positions, const RotaryTable& table,
                  float* dQkv, Scratch& scratch) {
  const int64_t headDim = at.shape.headDim, width = at.shape.width(), length = task.length;
  const float* keys = rotated + task.begin * width + (at.shape.heads + task.head) * headDim;
  const float* values = keys + at.shape.kvHeads * headDim;
  scratch.reset();
  Backward b{};
  b.stride = padded(length);
  float* keyPanels = scratch.take<float>(panelSize(headDim, length));
  float* valuePanels = scratch.take<float>(panelSize(headDim, length));
  float* keyTokens = scratch.take<float>(panelSize(length, headDim));
  packHeads(keys, width, length, headDim, keyPanels);
  packHeads(values, width, length, headDim, valuePanels);
  packTokens(keys, width, length, headDim, keyTokens);
  b.keyPanels = keyPanels;
  b.valuePanels = valuePanels;
  b.keyTokens = keyTokens;
  b.dKeys = scratch.take<float>(length * headDim);
  b.dValues = scratch.take<float>(length * headDim);
  b.queryTokens = scratch.take<float>(panelSize(kQueries, headDim));
  b.dOutTokens = scratch.take<float>(panelSize(kQueries, headDim));
  b.scores = scratch.take<float>(kQueries * b.stride);
  b.dScores = scratch.take<float>(kQueries * b.stride);
  std::fill_n(b.dKeys, length * headDim, 0.0f);
  std::fill_n(b.dValues, length * headDim, 0.0f);

  for (int64_t head = task.head * at.shape.group(); head < (task.head + 1) * at.shape.group(); head++)
    for (int64_t first = 0; first < length; first += kQueries)
      backwardBlock(at, task, head, first, std::min(length, first + kQueries), dOut, rotated, out, logSumExp, dQkv, b);

  for (int64_t i = 0; i < length; i++) {
    const int64_t row = task.begin + i, position = positions[row];
    float* dQueries = dQkv + row * width + task.head * at.shape.group() * headDim;
    for (int64_t h = 0; h < at.shape.group(); h++)
      rotate(dQueries + h * headDim, table, position, -1.0f, dQueries + h * headDim);
    float* dKey = dQkv + row * width + (at.shape.heads + task.head) * headDim;
    rotate(b.dKeys + i * headDim, table, position, -1.0f, dKey);
    std::memcpy(dKey + at.shape.kvHeads * headDim, b.dValues + i * headDim,
                static_cast<size_t>(headDim) * sizeof(float));
  }
}

}  // namespace

/** rows, segments, heads, kvHeads, headDim, theta, dOut, rotated, out, logSumExp, positions, segments, dQkv. */
void operations::attentionGradient(Engine& engine, Arguments& in) {
  AttentionInputs at = readShape(in);
  const int64_t width = at.shape.width();
  const float* dOut = in.read(at.rows * at.shape.queryWidth());
  const float* rotated = in.read(at.rows * width);
  const float* out = in.read(at.rows * at.shape.queryWidth());
  const float* logSumExp = in.read(at.shape.heads * at.rows);
  const int32_t* positions = in.read<int32_t>(at.rows);
  readSegments(in, at);
  float* dQkv = in.write(at.rows * width);
  const RotaryTable& table = tableFor(engine, at.shape, at.theta, positions, at.rows);

  std::vector<AttentionTask> tasks;
  for (int64_t s = 0; s < at.segmentCount; s++) {
    const int64_t begin = at.segments[s], length = at.segments[s + 1] - begin;
    for (int64_t kvHead = 0; kvHead < at.shape.kvHeads && length > 0; kvHead++)
      tasks.push_back({begin, length, kvHead, 0, length});
  }
  engine.team.parallel(static_cast<int64_t>(tasks.size()), [&](int64_t index, int thread) {
    backwardTask(at, tasks[static_cast<size_t>(index)], dOut, rotated, out, logSumExp, positions, table, dQkv,
                 engine.scratchOf(thread));
  });
}

}  // namespace mixtune
