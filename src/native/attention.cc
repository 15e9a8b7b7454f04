// Causal attention over packed sequences, forward and backward, in float. Scores exist for a block of queries at a time.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "operations.h"
#include "pack.h"
#include "rotary.h"

namespace mixtune {

namespace {

/** Queries whose scores are in memory at once. */
constexpr int64_t kQueries = 2 * kTileRows;
constexpr int64_t kBackwardQueries = 4 * kTileRows;
/** Queries of one task of the forward pass. */
constexpr int64_t kTaskQueries = 256;

/** Queries [first, last) of one head (forward) or all of one key-value head (backward), in the rows from `begin` on. */
struct Task {
  int64_t begin, length, head, first, last;
};

struct Inputs {
  int64_t rows;
  HeadShape shape;
  double theta;
  const int32_t* segments;
  int64_t segmentCount;
};

void checkSegments(const Inputs& at) {
  int64_t before = 0;
  for (int64_t s = 0; s <= at.segmentCount; s++) {
    if (at.segments[s] < before || at.segments[s] > at.rows) throw std::runtime_error("segments are not ascending row offsets");
    before = at.segments[s];
  }
}

int64_t padded(int64_t count) { return (count + kPanel - 1) / kPanel * kPanel; }

/** Panels whose inner dimension is the head's: for products with transposed keys or values. */
void packHeads(const float* rows, int64_t stride, int64_t length, int64_t headDim, float* out) {
  for (int64_t first = 0; first < length; first += kPanel)
    packTransposed<Float>(rows + first * stride, stride, std::min<int64_t>(kPanel, length - first), headDim, out + first / kPanel * panelStride(headDim));
}

/** Panels whose inner dimension is the token's. */
void packTokens(const float* rows, int64_t stride, int64_t length, int64_t headDim, float* out) {
  packStraight<Float>(rows, stride, headDim, length, kPanel, out);
}

/** Floats that panels of `columns` columns take. */
int64_t panelSize(int64_t depth, int64_t columns) { return (columns + kPanel - 1) / kPanel * panelStride(depth); }

/**
 * Rows of scores are padded to whole panels: what lies beyond the causal limit is computed along and cleared. All loops
 * over a row therefore go in whole vectors.
 */
int64_t wholeVectors(int64_t count) { return (count + kLanes - 1) / kLanes * kLanes; }

/** exp(scale · x − shift) of the first `count` of a row of scores, the rest up to `end` zero. Returns the sum. */
float exponentials(float* scores, int64_t count, int64_t end, float scale, float shift) {
  Vec total{};
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    const Vec p = exponential(load(scores + i) * scale - shift);
    store(scores + i, p);
    total += p;
  }
  if (i < count) {
    const Vec p = firstLanes(exponential(load(scores + i) * scale - shift), count - i, 0.0f);
    store(scores + i, p);
    total += p;
  }
  for (i = wholeVectors(count); i < end; i += kLanes) store(scores + i, Vec{});
  return sumOfLanes(total);
}

float largest(const float* x, int64_t count) {
  const float lowest = -std::numeric_limits<float>::infinity();
  Vec best = splat(lowest);
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) best = maximum(load(x + i), best);
  if (i < count) best = maximum(firstLanes(load(x + i), count - i, lowest), best);
  return maxOfLanes(best);
}

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

void forwardTask(const Inputs& at, const Task& task, const float* rotated, float* out, float* logSumExp, Scratch& scratch) {
  const int64_t headDim = at.shape.headDim, width = at.shape.width(), outWidth = at.shape.queryWidth();
  const int64_t kvHead = task.head / at.shape.group();
  const float scale = 1.0f / std::sqrt(static_cast<float>(headDim));
  const float* queries = rotated + task.begin * width + task.head * headDim;
  const float* keys = rotated + task.begin * width + (at.shape.heads + kvHead) * headDim;
  const float* values = keys + at.shape.kvHeads * headDim;
  const int64_t stride = padded(task.last);
  scratch.reset();
  float* keyPanels = scratch.take<float>(panelSize(headDim, task.last));
  float* valuePanels = scratch.take<float>(panelSize(task.last, headDim));
  float* scores = scratch.take<float>(kQueries * stride);
  packHeads(keys, width, task.last, headDim, keyPanels);
  packTokens(values, width, task.last, headDim, valuePanels);

  for (int64_t first = task.first; first < task.last; first += kQueries) {
    const int64_t last = std::min(task.last, first + kQueries), visible = padded(last);
    float* to = out + (task.begin + first) * outWidth + task.head * headDim;
    multiplyPanels<float, false>(last - first, visible, headDim, {queries + first * width, width}, keyPanels, panelStride(headDim),
                                 scores, stride, false);
    float sums[kQueries + kLanes], shifts[kQueries + kLanes];
    for (int64_t q = first; q < last; q++) {
      float* row = scores + (q - first) * stride;
      shifts[q - first] = largest(row, q + 1) * scale;
      sums[q - first] = exponentials(row, q + 1, visible, scale, shifts[q - first]);
    }
    forEachVec(last - first, [&](int64_t i, auto load, auto store) {
      store(logSumExp + task.head * at.rows + task.begin + first + i, load(shifts + i) + logarithm(load(sums + i)));
    });
    multiplyPanels<float, false>(last - first, headDim, last, {scores, stride}, valuePanels, panelStride(task.last), to, outWidth, false);
    for (int64_t q = 0; q < last - first; q++) {
      const float inverse = 1.0f / sums[q];
      forEachVec(headDim, [&](int64_t i, auto load, auto store) { store(to + q * outWidth + i, load(to + q * outWidth + i) * inverse); });
    }
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
void backwardBlock(const Inputs& at, const Task& task, int64_t head, int64_t first, int64_t last, const float* dOut,
                   const float* rotated, const float* out, const float* logSumExp, float* dQkv, const Backward& b) {
  const int64_t headDim = at.shape.headDim, width = at.shape.width(), outWidth = at.shape.queryWidth();
  const int64_t count = last - first, visible = padded(last), row = task.begin + first;
  const float scale = 1.0f / std::sqrt(static_cast<float>(headDim));
  const float* queries = rotated + row * width + head * headDim;
  const float* above = dOut + row * outWidth + head * headDim;
  const float* result = out + row * outWidth + head * headDim;

  multiplyPanels<float, false>(count, visible, headDim, {queries, width}, b.keyPanels, panelStride(headDim), b.scores, b.stride, false);
  multiplyPanels<float, false>(count, visible, headDim, {above, outWidth}, b.valuePanels, panelStride(headDim), b.dScores, b.stride, false);
  for (int64_t q = 0; q < count; q++) {
    float* p = b.scores + q * b.stride;
    float* dp = b.dScores + q * b.stride;
    Vec total{};
    forEachVec(headDim, [&](int64_t i, auto load, auto) { total += load(above + q * outWidth + i) * load(result + q * outWidth + i); });
    scoreGradients(p, dp, first + q + 1, visible, scale, logSumExp[head * at.rows + row + q], sumOfLanes(total));
  }
  packTokens(queries, width, count, headDim, b.queryTokens);
  packTokens(above, outWidth, count, headDim, b.dOutTokens);
  multiplyPanels<float, true>(last, headDim, count, {b.scores, b.stride}, b.dOutTokens, panelStride(count), b.dValues, headDim, true);
  multiplyPanels<float, true>(last, headDim, count, {b.dScores, b.stride}, b.queryTokens, panelStride(count), b.dKeys, headDim, true);
  multiplyPanels<float, false>(count, headDim, last, {b.dScores, b.stride}, b.keyTokens, panelStride(task.length),
                               dQkv + row * width + head * headDim, width, false);
}

void backwardTask(const Inputs& at, const Task& task, const float* dOut, const float* rotated, const float* out,
                  const float* logSumExp, const int32_t* positions, const RotaryTable& table, float* dQkv, Scratch& scratch) {
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
  b.queryTokens = scratch.take<float>(panelSize(kBackwardQueries, headDim));
  b.dOutTokens = scratch.take<float>(panelSize(kBackwardQueries, headDim));
  b.scores = scratch.take<float>(kBackwardQueries * b.stride);
  b.dScores = scratch.take<float>(kBackwardQueries * b.stride);
  std::fill_n(b.dKeys, length * headDim, 0.0f);
  std::fill_n(b.dValues, length * headDim, 0.0f);

  for (int64_t head = task.head * at.shape.group(); head < (task.head + 1) * at.shape.group(); head++)
    for (int64_t first = 0; first < length; first += kBackwardQueries)
      backwardBlock(at, task, head, first, std::min(length, first + kBackwardQueries), dOut, rotated, out, logSumExp, dQkv, b);

  for (int64_t i = 0; i < length; i++) {
    const int64_t row = task.begin + i, position = positions[row];
    float* dQueries = dQkv + row * width + task.head * at.shape.group() * headDim;
    for (int64_t h = 0; h < at.shape.group(); h++) rotate(dQueries + h * headDim, table, position, -1.0f, dQueries + h * headDim);
    float* dKey = dQkv + row * width + (at.shape.heads + task.head) * headDim;
    rotate(b.dKeys + i * headDim, table, position, -1.0f, dKey);
    std::memcpy(dKey + at.shape.kvHeads * headDim, b.dValues + i * headDim, static_cast<size_t>(headDim) * sizeof(float));
  }
}

}  // namespace

/** rows, segments, heads, kvHeads, headDim, theta, qkv, positions, segments, rotated, out, logSumExp. */
void operations::attention(Engine& engine, Arguments& in) {
  Inputs at{};
  at.rows = in.integer();
  at.segmentCount = in.integer();
  at.shape.heads = in.integer();
  at.shape.kvHeads = in.integer();
  at.shape.headDim = in.integer();
  at.theta = in.number();
  const int64_t width = at.shape.width(), rotatedWidth = (at.shape.heads + at.shape.kvHeads) * at.shape.headDim;
  const float* qkv = in.read(at.rows * width);
  const int32_t* positions = in.read<int32_t>(at.rows);
  at.segments = in.read<int32_t>(at.segmentCount + 1);
  float* rotated = in.write(at.rows * width);
  float* out = in.write(at.rows * at.shape.queryWidth());
  float* logSumExp = in.write(at.shape.heads * at.rows);
  checkSegments(at);
  const RotaryTable& table = tableFor(engine, at.shape, at.theta, positions, at.rows);

  engine.team.ranges(at.rows, 16384 / width + 1, [&](int64_t begin, int64_t end, int) {
    for (int64_t row = begin; row < end; row++) {
      const float* from = qkv + row * width;
      float* to = rotated + row * width;
      for (int64_t offset = 0; offset < rotatedWidth; offset += at.shape.headDim)
        rotate(from + offset, table, positions[row], 1.0f, to + offset);
      std::memcpy(to + rotatedWidth, from + rotatedWidth, static_cast<size_t>(width - rotatedWidth) * sizeof(float));
    }
  });

  std::vector<Task> tasks;
  for (int64_t s = 0; s < at.segmentCount; s++) {
    const int64_t begin = at.segments[s], length = at.segments[s + 1] - begin;
    for (int64_t head = 0; head < at.shape.heads; head++)
      for (int64_t first = 0; first < length; first += kTaskQueries)
        tasks.push_back({begin, length, head, first, std::min(length, first + kTaskQueries)});
  }
  engine.team.parallel(static_cast<int64_t>(tasks.size()), [&](int64_t index, int thread) {
    forwardTask(at, tasks[static_cast<size_t>(index)], rotated, out, logSumExp, engine.scratchOf(thread));
  });
}

/** rows, segments, heads, kvHeads, headDim, theta, dOut, rotated, out, logSumExp, positions, segments, dQkv. */
void operations::attentionGradient(Engine& engine, Arguments& in) {
  Inputs at{};
  at.rows = in.integer();
  at.segmentCount = in.integer();
  at.shape.heads = in.integer();
  at.shape.kvHeads = in.integer();
  at.shape.headDim = in.integer();
  at.theta = in.number();
  const int64_t width = at.shape.width();
  const float* dOut = in.read(at.rows * at.shape.queryWidth());
  const float* rotated = in.read(at.rows * width);
  const float* out = in.read(at.rows * at.shape.queryWidth());
  const float* logSumExp = in.read(at.shape.heads * at.rows);
  const int32_t* positions = in.read<int32_t>(at.rows);
  at.segments = in.read<int32_t>(at.segmentCount + 1);
  float* dQkv = in.write(at.rows * width);
  checkSegments(at);
  const RotaryTable& table = tableFor(engine, at.shape, at.theta, positions, at.rows);

  std::vector<Task> tasks;
  for (int64_t s = 0; s < at.segmentCount; s++) {
    const int64_t begin = at.segments[s], length = at.segments[s + 1] - begin;
    for (int64_t kvHead = 0; kvHead < at.shape.kvHeads && length > 0; kvHead++) tasks.push_back({begin, length, kvHead, 0, length});
  }
  engine.team.parallel(static_cast<int64_t>(tasks.size()), [&](int64_t index, int thread) {
    backwardTask(at, tasks[static_cast<size_t>(index)], dOut, rotated, out, logSumExp, positions, table, dQkv,
                 engine.scratchOf(thread));
  });
}

}  // namespace mixtune
