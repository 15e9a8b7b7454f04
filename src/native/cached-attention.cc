#include "cached-attention.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <utility>

namespace mixtune {

namespace {

/** Positions of one task: long contexts are split, always at the same places, and the parts joined in order. */
constexpr int64_t kChunk = 256;
/** Rows of one sequence from which on its queries are taken in blocks. */
constexpr int64_t kRun = 8;
/** Rows of such a block. */
constexpr int64_t kRunBlock = 64;
/** Query heads that read a value together. */
constexpr int64_t kHeadsAtOnce = 4;

struct Task {
  int64_t row, count, kvHead, first, last;
  /** Number of the first of the parts that the row's heads are joined from; −1 where there is only this one. */
  int64_t part;
};

/** Lane i of the result is the sum of the lanes of rows[i]; rows is changed. */
template <int Half, int... Lane>
inline void sumPairs(Vec (&rows)[kLanes], std::integer_sequence<int, Lane...>) {
  for (int i = 0; i < Half; i++) {
    const Vec a = rows[i], b = rows[i + Half];
    rows[i] = __builtin_shufflevector(a, b, (Lane & Half ? kLanes + Lane : Lane)...) +
              __builtin_shufflevector(a, b, (Lane & Half ? kLanes + Lane - Half : Lane + Half)...);
  }
}

template <int Half = kLanes / 2>
inline Vec sumsOfLanes(Vec (&rows)[kLanes]) {
  sumPairs<Half>(rows, std::make_integer_sequence<int, kLanes>());
  if constexpr (Half > 1) return sumsOfLanes<Half / 2>(rows);
  return rows[0];
}

/** scores[k] = query · keys[k] for `count` keys. */
void scoreKeys(const float* query, const float* keys, int64_t count, int64_t headDim, float* scores) {
  int64_t k = 0;
  for (; k + kLanes <= count; k += kLanes) {
    Vec sums[kLanes] = {};
    int64_t i = 0;
    for (; i + kLanes <= headDim; i += kLanes) {
      const Vec q = load(query + i);
#pragma GCC unroll 16
      for (int j = 0; j < kLanes; j++) sums[j] += q * load(keys + (k + j) * headDim + i);
    }
    if (i < headDim) {
      const Vec q = loadPart(query + i, headDim - i);
      for (int j = 0; j < kLanes; j++) sums[j] += q * loadPart(keys + (k + j) * headDim + i, headDim - i);
    }
    store(scores + k, sumsOfLanes(sums));
  }
  for (; k < count; k++) {
    Vec total{};
    forEachVec(headDim, [&](int64_t i, auto load, auto) { total += load(query + i) * load(keys + k * headDim + i); });
    scores[k] = sumOfLanes(total);
  }
}

struct Softmax {
  float largest, sum;
};

/** Scores become exp(score − largest). */
Softmax exponentials(float* scores, int64_t count) {
  constexpr float lowest = -std::numeric_limits<float>::infinity();
  Vec best = splat(lowest), total{};
  const int64_t whole = count / kLanes * kLanes, rest = count - whole;
  for (int64_t i = 0; i < whole; i += kLanes) best = maximum(load(scores + i), best);
  if (rest) best = maximum(firstLanes(loadPart(scores + whole, rest), rest, lowest), best);
  const float largest = maxOfLanes(best);
  for (int64_t i = 0; i < whole; i += kLanes) {
    const Vec p = exponential(load(scores + i) - largest);
    store(scores + i, p);
    total += p;
  }
  if (rest) {
    const Vec p = firstLanes(exponential(loadPart(scores + whole, rest) - largest), rest, 0.0f);
    storePart(scores + whole, p, rest);
    total += p;
  }
  return {largest, sumOfLanes(total)};
}

/** out[h] = Σ weights[h][k] · values[k] for Heads heads and up to Vecs vectors of the head's dimension. */
template <int Heads, int Vecs>
void sumValues(const float* weights, int64_t weightStride, const float* values, int64_t count, int64_t headDim,
               int64_t width, float* out) {
  Vec sums[Heads][Vecs] = {};
  const int64_t rest = width - (Vecs - 1) * kLanes;
  for (int64_t k = 0; k < count; k++) {
    Vec value[Vecs];
    for (int v = 0; v < Vecs; v++) {
      const float* from = values + k * headDim + v * kLanes;
      value[v] = v + 1 < Vecs || rest == kLanes ? load(from) : loadPart(from, rest);
    }
    for (int h = 0; h < Heads; h++)
      for (int v = 0; v < Vecs; v++) sums[h][v] += weights[h * weightStride + k] * value[v];
  }
  for (int h = 0; h < Heads; h++)
    for (int v = 0; v < Vecs; v++) {
      float* to = out + h * headDim + v * kLanes;
      v + 1 < Vecs || rest == kLanes ? store(to, sums[h][v]) : storePart(to, sums[h][v], rest);
    }
}

template <int Heads>
void sumValuesOf(const float* weights, int64_t weightStride, const float* values, int64_t count, int64_t headDim,
                 float* out) {
  for (int64_t i = 0; i < headDim; i += 4 * kLanes) {
    const int64_t width = std::min<int64_t>(headDim - i, 4 * kLanes);
    switch ((width + kLanes - 1) / kLanes) {
      case 1:
        sumValues<Heads, 1>(weights, weightStride, values + i, count, headDim, width, out + i);
        break;
      case 2:
        sumValues<Heads, 2>(weights, weightStride, values + i, count, headDim, width, out + i);
        break;
      case 3:
        sumValues<Heads, 3>(weights, weightStride, values + i, count, headDim, width, out + i);
        break;
      default:
        sumValues<Heads, 4>(weights, weightStride, values + i, count, headDim, width, out + i);
    }
  }
}

/** One row's heads of a key-value head over positions [first, last): unnormalised sums, and the softmax of each. */
void attendPositions(const CachedRows& at, const Task& task, const float* queries, float* out, Softmax* softmaxes) {
  const int64_t headDim = at.shape.headDim, group = at.shape.group(), count = task.last - task.first;
  const int64_t from = at.cacheOffset(task.row, task.kvHead) + task.first * headDim;
  float scores[kHeadsAtOnce * kChunk];
  for (int64_t h = 0; h < group; h += kHeadsAtOnce) {
    const int64_t heads = std::min(group - h, kHeadsAtOnce);
    for (int64_t j = 0; j < heads; j++) {
      scoreKeys(queries + (h + j) * headDim, at.keys + from, count, headDim, scores + j * kChunk);
      softmaxes[h + j] = exponentials(scores + j * kChunk, count);
    }
    constexpr decltype(&sumValuesOf<1>) sums[] = {sumValuesOf<1>, sumValuesOf<2>, sumValuesOf<3>, sumValuesOf<4>};
    sums[heads - 1](scores, kChunk, at.values + from, count, headDim, out + h * headDim);
  }
}

void scale(float* x, float factor, int64_t count) {
  forEachVec(count, [&](int64_t i, auto load, auto store) { store(x + i, load(x + i) * factor); });
}

/** Joins the parts of one head, `apart` from each other, in order of their positions. */
void joinParts(const float* sums, const Softmax* softmaxes, int64_t parts, int64_t apart, int64_t headDim, float* out) {
  float largest = softmaxes[0].largest, total = 0;
  for (int64_t i = 1; i < parts; i++) largest = std::max(largest, softmaxes[i * apart].largest);
  std::fill_n(out, headDim, 0.0f);
  for (int64_t i = 0; i < parts; i++) {
    const float factor = std::exp(softmaxes[i * apart].largest - largest);
    total += factor * softmaxes[i * apart].sum;
    const float* part = sums + i * apart * headDim;
    forEachVec(headDim, [&](int64_t d, auto load, auto store) { store(out + d, load(out + d) + load(part + d) * factor); });
  }
  scale(out, 1.0f / total, headDim);
}

}  // namespace

void checkRows(const CachedRows& at) {
  for (int64_t i = 0; i < at.rows; i++)
    if (at.sequences[i] < 0 || at.sequences[i] >= at.sequenceCount || at.positions[i] >= at.capacity)
      throw std::runtime_error("row " + std::to_string(i) + " is outside the cache");
}

void attendCached(Engine& engine, const CachedRows& at, const RotaryTable& table, const float* qkv, float* out) {
  const auto [heads, kvHeads, headDim] = at.shape;
  const int64_t width = at.shape.width(), group = at.shape.group(), outWidth = at.shape.queryWidth();
  float* queries = engine.scratch.take<float>(at.rows * outWidth);
  const float scoreScale = 1.0f / std::sqrt(static_cast<float>(headDim));
  engine.team.ranges(at.rows, 16384 / width + 1, [&](int64_t begin, int64_t end, int) {
    for (int64_t row = begin; row < end; row++) {
      const float* from = qkv + row * width;
      for (int64_t head = 0; head < heads; head++)
        rotate(from + head * headDim, table, at.positions[row], 1.0f, queries + row * outWidth + head * headDim);
      scale(queries + row * outWidth, scoreScale, outWidth);
      for (int64_t kvHead = 0; kvHead < kvHeads; kvHead++) {
        const float* key = from + (heads + kvHead) * headDim;
        const int64_t to = at.cacheOffset(row, kvHead) + at.positions[row] * headDim;
        rotate(key, table, at.positions[row], 1.0f, at.keys + to);
        std::memcpy(at.values + to, key + kvHeads * headDim, static_cast<size_t>(headDim) * sizeof(float));
      }
    }
  });

  // A run of rows of one sequence shares its keys; all other rows are alone.
  const auto runEnd = [&](int64_t row) {
    int64_t end = row + 1;
    while (end < at.rows && at.sequences[end] == at.sequences[row] && at.positions[end] == at.positions[end - 1] + 1)
      end++;
    return end;
  };
  const auto chunksOf = [&](int64_t row) { return at.positions[row] / kChunk + 1; };
  int64_t runTasks = 0, rowTasks = 0, parts = 0;
  for (int64_t row = 0, end = 0; row < at.rows; row = end) {
    end = runEnd(row);
    if (end - row >= kRun) runTasks += ((end - row + kRunBlock - 1) / kRunBlock) * kvHeads;
    for (int64_t i = row; end - row < kRun && i < end; i++) {
      rowTasks += chunksOf(i) * kvHeads;
      if (chunksOf(i) > 1) parts += chunksOf(i) * kvHeads;
    }
  }
  Task* tasks = engine.scratch.take<Task>(runTasks + rowTasks);
  float* partSums = engine.scratch.take<float>(parts * group * headDim);
  Softmax* partSoftmaxes = engine.scratch.take<Softmax>(parts * group);
  int64_t run = 0, single = runTasks, part = 0, positions = 0;
  for (int64_t row = 0, end = 0; row < at.rows; row = end) {
    end = runEnd(row);
    for (int64_t kvHead = 0; kvHead < kvHeads; kvHead++) {
      // The last blocks see the most keys, so they begin first.
      for (int64_t first = (end - row - 1) / kRunBlock * kRunBlock; end - row >= kRun && first >= 0; first -= kRunBlock)
        tasks[run++] = {row + first, std::min(kRunBlock, end - row - first), kvHead, 0, 0, -1};
      for (int64_t i = row; end - row < kRun && i < end; i++) {
        const int64_t length = at.positions[i] + 1, chunks = chunksOf(i);
        positions += length;
        for (int64_t chunk = 0; chunk < chunks; chunk++)
          tasks[single++] = {i, 1, kvHead, chunk * kChunk, std::min(length, (chunk + 1) * kChunk), chunks > 1 ? part++ : -1};
      }
    }
  }

  engine.team.parallel(runTasks, [&](int64_t index, int thread) {
    const Task& task = tasks[index];
    attendRun(at, task.row, task.count, task.kvHead, queries, out, engine.scratchOf(thread));
  });
  if (rowTasks == 0) return;
  const int64_t grain = 32768 / (headDim * group * (positions / rowTasks + 1)) + 1;
  engine.team.ranges(rowTasks, grain, [&](int64_t begin, int64_t end, int thread) {
    Scratch& scratch = engine.scratchOf(thread);
    scratch.reset();
    Softmax* softmaxes = scratch.take<Softmax>(group);
    for (int64_t index = begin; index < end; index++) {
      const Task& task = tasks[runTasks + index];
      const int64_t offset = task.row * outWidth + task.kvHead * group * headDim;
      if (task.part >= 0) {
        attendPositions(at, task, queries + offset, partSums + task.part * group * headDim,
                        partSoftmaxes + task.part * group);
        continue;
      }
      attendPositions(at, task, queries + offset, out + offset, softmaxes);
      for (int64_t h = 0; h < group; h++) scale(out + offset + h * headDim, 1.0f / softmaxes[h].sum, headDim);
    }
  });
  if (parts == 0) return;
  engine.team.ranges(rowTasks, 64, [&](int64_t begin, int64_t end, int) {
    for (int64_t index = begin; index < end; index++) {
      const Task& task = tasks[runTasks + index];
      if (task.part < 0 || task.first > 0) continue;
      for (int64_t h = 0; h < group; h++)
        joinParts(partSums + (task.part * group + h) * headDim, partSoftmaxes + task.part * group + h,
                  chunksOf(task.row), group, headDim,
                  out + task.row * outWidth + (task.kvHead * group + h) * headDim);
    }
  });
}

/** rows, sequences, capacity, heads, kvHeads, headDim, theta, qkv, sequence of each row, positions, keys, values, out.
 */
void operations::cachedAttention(Engine& engine, Arguments& in) {
  CachedRows at{};
  at.rows = in.integer();
  at.sequenceCount = in.integer();
  at.capacity = in.integer();
  at.shape.heads = in.integer();
  at.shape.kvHeads = in.integer();
  at.shape.headDim = in.integer();
  at.theta = in.number();
  const float* qkv = in.read(at.rows * at.shape.width());
  at.sequences = in.read<int32_t>(at.rows);
  at.positions = in.read<int32_t>(at.rows);
  at.keys = in.write(at.cacheSize());
  at.values = in.write(at.cacheSize());
  float* out = in.write(at.rows * at.shape.queryWidth());
  checkRows(at);
  attendCached(engine, at, tableFor(engine, at.shape, at.theta, at.positions, at.rows), qkv, out);
}

}  // namespace mixtune
