// Causal attention over packed sequences, in float. Scores exist for a block of queries at a time.
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "attention-blocks.h"
#include "operations.h"

namespace mixtune {

namespace {

/** Queries whose scores are in memory at once. */
constexpr int64_t kQueries = 2 * kTileRows;
/** Queries of one task. */
constexpr int64_t kTaskQueries = 256;

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

void forwardTask(const AttentionInputs& at, const AttentionTask& task, const float* rotated, float* out,
                 float* logSumExp, Scratch& scratch) {
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
    multiplyPanels<float, false>(last - first, visible, headDim, {queries + first * width, width}, keyPanels,
                                 panelStride(headDim), scores, stride, false);
    float sums[kQueries + kLanes], shifts[kQueries + kLanes];
    for (int64_t q = first; q < last; q++) {
      float* row = scores + (q - first) * stride;
      shifts[q - first] = largest(row, q + 1) * scale;
      sums[q - first] = exponentials(row, q + 1, visible, scale, shifts[q - first]);
    }
    forEachVec(last - first, [&](int64_t i, auto load, auto store) {
      store(logSumExp + task.head * at.rows + task.begin + first + i, load(shifts + i) + logarithm(load(sums + i)));
    });
    multiplyPanels<float, false>(last - first, headDim, last, {scores, stride}, valuePanels, panelStride(task.last), to,
                                 outWidth, false);
    for (int64_t q = 0; q < last - first; q++) {
      const float inverse = 1.0f / sums[q];
      forEachVec(headDim, [&](int64_t i, auto load, auto store) {
        store(to + q * outWidth + i, load(to + q * outWidth + i) * inverse);
      });
    }
  }
}

}  // namespace

/** rows, segments, heads, kvHeads, headDim, theta, qkv, positions, segments, rotated, out, logSumExp. */
void operations::attention(Engine& engine, Arguments& in) {
  AttentionInputs at = readShape(in);
  const int64_t width = at.shape.width(), rotatedWidth = (at.shape.heads + at.shape.kvHeads) * at.shape.headDim;
  const float* qkv = in.read(at.rows * width);
  const int32_t* positions = in.read<int32_t>(at.rows);
  readSegments(in, at);
  float* rotated = in.write(at.rows * width);
  float* out = in.write(at.rows * at.shape.queryWidth());
  float* logSumExp = in.write(at.shape.heads * at.rows);
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

  std::vector<AttentionTask> tasks;
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

}  // namespace mixtune
