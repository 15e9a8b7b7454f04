// Attention of new tokens over a cache of keys and values: the kernel of generation.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>

#include "operations.h"
#include "rotary.h"

namespace mixtune {

namespace {

float dot(const float* a, const float* b, int64_t count) {
  Vec total{};
  forEachVec(count, [&](int64_t i, auto load, auto) { total += load(a + i) * load(b + i); });
  return sumOfLanes(total);
}

/** Softmax of `count` scores in place, without the division. Returns the sum. */
float softmaxSum(float* scores, int64_t count) {
  float largest = scores[0];
  for (int64_t i = 1; i < count; i++) largest = scores[i] > largest ? scores[i] : largest;
  Vec total{};
  forEachVec(count,
             [&](int64_t i, auto load, auto store) { store(scores + i, exponential(load(scores + i) - largest)); });
  forEachVec(count, [&](int64_t i, auto load, auto) { total += load(scores + i); });
  return sumOfLanes(total);
}

void attend(const float* query, const float* keys, const float* values, int64_t count, int64_t headDim, float* scores,
            float* out) {
  const float scale = 1.0f / std::sqrt(static_cast<float>(headDim));
  for (int64_t k = 0; k < count; k++) scores[k] = dot(query, keys + k * headDim, headDim) * scale;
  const float inverse = 1.0f / softmaxSum(scores, count);
  forEachVec(headDim, [&](int64_t i, auto load, auto store) {
    Vec total[4] = {};  // four sums, so that one addition need not wait for the last
    int64_t k = 0;
    for (; k + 4 <= count; k += 4)
      for (int64_t j = 0; j < 4; j++) total[j] += scores[k + j] * load(values + (k + j) * headDim + i);
    for (; k < count; k++) total[0] += scores[k] * load(values + k * headDim + i);
    store(out + i, ((total[0] + total[1]) + (total[2] + total[3])) * inverse);
  });
}

}  // namespace

/** rows, sequences, capacity, heads, kvHeads, headDim, theta, qkv, sequence of each row, positions, keys, values, out.
 */
void operations::cachedAttention(Engine& engine, Arguments& in) {
  const int64_t rows = in.integer(), sequenceCount = in.integer(), capacity = in.integer();
  HeadShape shape{};
  shape.heads = in.integer();
  shape.kvHeads = in.integer();
  shape.headDim = in.integer();
  const double theta = in.number();
  const int64_t headDim = shape.headDim, width = shape.width();
  const float* qkv = in.read(rows * width);
  const int32_t* sequences = in.read<int32_t>(rows);
  const int32_t* positions = in.read<int32_t>(rows);
  float* keys = in.write(sequenceCount * shape.kvHeads * capacity * headDim);
  float* values = in.write(sequenceCount * shape.kvHeads * capacity * headDim);
  float* out = in.write(rows * shape.queryWidth());
  int64_t longest = 1;
  for (int64_t i = 0; i < rows; i++) {
    if (sequences[i] < 0 || sequences[i] >= sequenceCount || positions[i] >= capacity)
      throw std::runtime_error("row " + std::to_string(i) + " is outside the cache");
    longest = std::max<int64_t>(longest, positions[i] + 1);
  }
  const RotaryTable& table = tableFor(engine, shape, theta, positions, rows);
  const auto cacheOffset = [&](int64_t row, int64_t kvHead) {
    return (sequences[row] * shape.kvHeads + kvHead) * capacity * headDim;
  };

  engine.team.ranges(rows, 16384 / width + 1, [&](int64_t begin, int64_t end, int) {
    for (int64_t row = begin; row < end; row++)
      for (int64_t kvHead = 0; kvHead < shape.kvHeads; kvHead++) {
        const float* key = qkv + row * width + (shape.heads + kvHead) * headDim;
        const int64_t to = cacheOffset(row, kvHead) + positions[row] * headDim;
        rotate(key, table, positions[row], 1.0f, keys + to);
        std::memcpy(values + to, key + shape.kvHeads * headDim, static_cast<size_t>(headDim) * sizeof(float));
      }
  });

  engine.team.ranges(rows * shape.heads, 65536 / (headDim * longest) + 1, [&](int64_t begin, int64_t end, int thread) {
    Scratch& scratch = engine.scratchOf(thread);
    scratch.reset();
    float* query = scratch.take<float>(headDim);
    float* scores = scratch.take<float>(longest);
    for (int64_t task = begin; task < end; task++) {
      const int64_t row = task / shape.heads, head = task % shape.heads;
      const int64_t from = cacheOffset(row, head / shape.group());
      rotate(qkv + row * width + head * headDim, table, positions[row], 1.0f, query);
      attend(query, keys + from, values + from, positions[row] + 1, headDim, scores,
             out + row * shape.queryWidth() + head * headDim);
    }
  });
}

}  // namespace mixtune
