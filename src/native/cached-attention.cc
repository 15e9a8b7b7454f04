#include "cached-attention.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace mixtune {

namespace {

/** Positions of one task: long contexts are split, always at the same places, and the parts joined in order. */
constexpr int64_t kChunk = 256;
/** Rows of one sequence from which on its queries are taken in blocks. */
constexpr int64_t kRun = 8;
/** Rows of such a block. */
constexpr int64_t kRunBlock = 4 * kTileRows;
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

/** scores[k] = query · keys[k] for `count` keys, `units` apart. */
template <class T>
void scoreKeys(const float* query, const typename T::Unit* keys, int64_t units, int64_t count, int64_t headDim,
               float* scores) {
  for (int64_t k = 0; k < count; k += kLanes) {
    const int64_t block = std::min<int64_t>(kLanes, count - k);
    Vec sums[kLanes] = {};
    for (int64_t i = 0; i < headDim; i += kLanes) {
      const int64_t rest = headDim - i;
      const Vec q = rest >= kLanes ? load(query + i) : loadPart(query + i, rest);
      if (block == kLanes && rest >= kLanes) {
#pragma GCC unroll 16
        for (int j = 0; j < kLanes; j++) sums[j] += q * loadTerms<T>(keys + (k + j) * units, i);
      } else {
        for (int64_t j = 0; j < block; j++) sums[j] += q * headTerms<T>(keys + (k + j) * units, i, rest);
      }
    }
    block == kLanes ? store(scores + k, sumsOfLanes(sums)) : storePart(scores + k, sumsOfLanes(sums), block);
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

/** out[h] = Σ weights[h][k] · values[k] for Heads heads and Vecs vectors of the head's dimension from `column` on. */
template <class T, int Heads, int Vecs>
void sumValues(const float* weights, const typename T::Unit* values, int64_t units, int64_t count, int64_t column,
               int64_t headDim, float* out) {
  Vec sums[Heads][Vecs] = {};
  const int64_t rest = headDim - column - (Vecs - 1) * kLanes;
  for (int64_t k = 0; k < count; k++) {
    Vec value[Vecs];
    for (int v = 0; v < Vecs; v++)
      value[v] = headTerms<T>(values + k * units, column + v * kLanes, v + 1 < Vecs ? kLanes : rest);
    for (int h = 0; h < Heads; h++)
      for (int v = 0; v < Vecs; v++) sums[h][v] += weights[h * kChunk + k] * value[v];
  }
  for (int h = 0; h < Heads; h++)
    for (int v = 0; v < Vecs; v++) {
      float* to = out + h * headDim + column + v * kLanes;
      v + 1 < Vecs || rest >= kLanes ? store(to, sums[h][v]) : storePart(to, sums[h][v], rest);
    }
}

template <class T, int Heads>
void sumValuesOf(const float* weights, const typename T::Unit* values, int64_t units, int64_t count, int64_t headDim,
                 float* out) {
  constexpr decltype(&sumValues<T, Heads, 1>) sums[] = {sumValues<T, Heads, 1>, sumValues<T, Heads, 2>,
                                                        sumValues<T, Heads, 3>, sumValues<T, Heads, 4>};
  for (int64_t column = 0; column < headDim; column += 4 * kLanes) {
    const int64_t vecs = std::min<int64_t>(divideUp(headDim - column, kLanes), 4);
    sums[vecs - 1](weights, values, units, count, column, headDim, out);
  }
}

/** One row's heads of a key-value head over positions [first, last): unnormalised sums, and the softmax of each. */
template <class T>
void attendPositions(const NewRows& rows, const Cache<T>& cache, const Task& task, const float* queries, float* out,
                     Softmax* softmaxes) {
  const int64_t headDim = cache.headDim, units = cache.units(), group = rows.shape.group();
  const int64_t from = cache.offset(rows.sequences[task.row], task.kvHead, task.first), count = task.last - task.first;
  float scores[kHeadsAtOnce * kChunk];
  for (int64_t h = 0; h < group; h += kHeadsAtOnce) {
    const int64_t heads = std::min(group - h, kHeadsAtOnce);
    for (int64_t j = 0; j < heads; j++) {
      scoreKeys<T>(queries + (h + j) * headDim, cache.keys + from, units, count, headDim, scores + j * kChunk);
      softmaxes[h + j] = exponentials(scores + j * kChunk, count);
    }
    constexpr decltype(&sumValuesOf<T, 1>) sums[] = {sumValuesOf<T, 1>, sumValuesOf<T, 2>, sumValuesOf<T, 3>,
                                                     sumValuesOf<T, 4>};
    sums[heads - 1](scores, cache.values + from, units, count, headDim, out + h * headDim);
  }
}

void scale(float* x, float factor, int64_t count) {
  forEachVec(count, [&](int64_t i, auto load, auto store) { store(x + i, load(x + i) * factor); });
}

/** Joins the parts of one head, `apart` heads from each other, in order of their positions. Returns the softmax's sum. */
float joinParts(const float* sums, const Softmax* softmaxes, int64_t parts, int64_t apart, int64_t headDim, float* out) {
  float largest = softmaxes[0].largest, total = 0;
  for (int64_t i = 1; i < parts; i++) largest = std::max(largest, softmaxes[i * apart].largest);
  std::fill_n(out, headDim, 0.0f);
  for (int64_t i = 0; i < parts; i++) {
    const float factor = std::exp(softmaxes[i * apart].largest - largest);
    total += factor * softmaxes[i * apart].sum;
    const float* part = sums + i * apart * headDim;
    forEachVec(headDim, [&](int64_t d, auto load, auto store) { store(out + d, load(out + d) + load(part + d) * factor); });
  }
  return total;
}

/** Rotates a row's queries and scales them, and puts its keys and values into the cache. */
template <class T>
void enterRow(const NewRows& rows, const Cache<T>& cache, const RotaryTable& table, int64_t row, const float* qkv,
              float* queries, float* buffer) {
  const auto [heads, kvHeads, headDim] = rows.shape;
  const int64_t position = rows.positions[row];
  const float* from = qkv + row * rows.shape.width();
  float* query = queries + row * rows.shape.queryWidth();
  for (int64_t head = 0; head < heads; head++) rotate(from + head * headDim, table, position, 1.0f, query + head * headDim);
  scale(query, 1.0f / std::sqrt(static_cast<float>(headDim)), rows.shape.queryWidth());
  for (int64_t kvHead = 0; kvHead < kvHeads; kvHead++) {
    const float* key = from + (heads + kvHead) * headDim;
    const int64_t to = cache.offset(rows.sequences[row], kvHead, position);
    rotate(key, table, position, 1.0f, buffer);
    packRow<T>(buffer, headDim, cache.keys + to);
    packRow<T>(key + kvHeads * headDim, headDim, cache.values + to);
  }
}

/** The tasks of a step: first the runs, then single rows. */
struct Tasks {
  Task* all;
  int64_t runs = 0, singles = 0, parts = 0, positions = 0;

  Tasks(const NewRows& rows, Scratch& scratch) {
    // Counts first, so that the tasks find room in scratch.
    forEachRun(rows, [&](int64_t row, int64_t end) {
      if (end - row >= kRun) {
        runs += divideUp(end - row, kRunBlock) * rows.shape.kvHeads;
        return;
      }
      for (; row < end; row++) singles += chunksOf(rows, row) * rows.shape.kvHeads;
    });
    all = scratch.take<Task>(runs + singles);
    Task *run = all, *single = all + runs;
    forEachRun(rows, [&](int64_t row, int64_t end) {
      for (int64_t kvHead = 0; kvHead < rows.shape.kvHeads; kvHead++) {
        if (end - row >= kRun) {
          // The last blocks see the most keys, so they begin first.
          for (int64_t first = (end - row - 1) / kRunBlock * kRunBlock; first >= 0; first -= kRunBlock)
            *run++ = {row + first, std::min(kRunBlock, end - row - first), kvHead, 0, 0, -1};
          continue;
        }
        for (int64_t i = row; i < end; i++) {
          const int64_t length = rows.positions[i] + 1, chunks = chunksOf(rows, i);
          positions += length;
          for (int64_t first = 0; first < length; first += kChunk)
            *single++ = {i, 1, kvHead, first, std::min(length, first + kChunk), chunks > 1 ? parts++ : -1};
        }
      }
    });
  }

  static int64_t chunksOf(const NewRows& rows, int64_t row) { return rows.positions[row] / kChunk + 1; }

  /** visit(row, end) for rows that are neighbours in one sequence. */
  template <class Visit>
  static void forEachRun(const NewRows& rows, const Visit& visit) {
    for (int64_t row = 0, end; row < rows.count; row = end) {
      for (end = row + 1; end < rows.count && rows.sequences[end] == rows.sequences[row] &&
                          rows.positions[end] == rows.positions[end - 1] + 1;)
        end++;
      visit(row, end);
    }
  }
};

}  // namespace

template <class T>
void attendCached(Engine& engine, const NewRows& rows, const Cache<T>& cache, const RotaryTable& table,
                  const float* qkv, typename T::Unit* out) {
  const int64_t headDim = cache.headDim, group = rows.shape.group(), width = rows.shape.queryWidth();
  float* queries = engine.scratch.take<float>(rows.count * width);
  engine.team.ranges(rows.count, 16384 / width + 1, [&](int64_t begin, int64_t end, int thread) {
    Scratch& scratch = engine.scratchOf(thread);
    scratch.reset();
    float* buffer = scratch.take<float>(headDim);
    for (int64_t row = begin; row < end; row++) enterRow(rows, cache, table, row, qkv, queries, buffer);
  });

  const Tasks tasks(rows, engine.scratch);
  engine.team.parallel(tasks.runs, [&](int64_t index, int thread) {
    const Task& task = tasks.all[index];
    attendRun(rows, cache, task.row, task.count, task.kvHead, queries, out, engine.scratchOf(thread));
  });
  if (tasks.singles == 0) return;

  float* partSums = engine.scratch.take<float>(tasks.parts * group * headDim);
  Softmax* partSoftmaxes = engine.scratch.take<Softmax>(tasks.parts * group);
  const auto put = [&](const Task& task, int64_t h, const float* x, float sum) {
    putHead<T>(out + task.row * unitsOf<T>(width), (task.kvHead * group + h) * headDim, x, 1.0f / sum, headDim);
  };
  const int64_t grain = 32768 / (headDim * group * (tasks.positions / tasks.singles + 1)) + 1;
  engine.team.ranges(tasks.singles, grain, [&](int64_t begin, int64_t end, int thread) {
    Scratch& scratch = engine.scratchOf(thread);
    scratch.reset();
    float* sums = scratch.take<float>(group * headDim);
    Softmax* softmaxes = scratch.take<Softmax>(group);
    for (int64_t index = begin; index < end; index++) {
      const Task& task = tasks.all[tasks.runs + index];
      const float* query = queries + task.row * width + task.kvHead * group * headDim;
      if (task.part >= 0) {
        attendPositions(rows, cache, task, query, partSums + task.part * group * headDim,
                        partSoftmaxes + task.part * group);
        continue;
      }
      attendPositions(rows, cache, task, query, sums, softmaxes);
      for (int64_t h = 0; h < group; h++) put(task, h, sums + h * headDim, softmaxes[h].sum);
    }
  });
  if (tasks.parts == 0) return;
  engine.team.ranges(tasks.singles, 64, [&](int64_t begin, int64_t end, int thread) {
    Scratch& scratch = engine.scratchOf(thread);
    scratch.reset();
    float* joined = scratch.take<float>(headDim);
    for (int64_t index = begin; index < end; index++) {
      const Task& task = tasks.all[tasks.runs + index];
      if (task.part < 0 || task.first > 0) continue;
      for (int64_t h = 0; h < group; h++) {
        const int64_t part = task.part * group + h;
        const float sum = joinParts(partSums + part * headDim, partSoftmaxes + part, Tasks::chunksOf(rows, task.row),
                                    group, headDim, joined);
        put(task, h, joined, sum);
      }
    }
  });
}

#define MIXTUNE_INSTANTIATE(T)                                                                            \
  template void attendCached<T>(Engine&, const NewRows&, const Cache<T>&, const RotaryTable&, const float*, \
                                T::Unit*);
MIXTUNE_INSTANTIATE(Float)
MIXTUNE_INSTANTIATE(RoundedFloat)
#if defined(__AVX512BF16__)
MIXTUNE_INSTANTIATE(Bfloat16)
#endif
#undef MIXTUNE_INSTANTIATE

}  // namespace mixtune
