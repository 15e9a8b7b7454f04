#include "cached-attention.h"

#include <algorithm>
#include <cmath>
#include <cstring>
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
#pragma GCC unroll 16
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

/** kLanes units of a row, zero from `count` on. */
template <class Unit>
inline auto unitsFrom(const Unit* row, int64_t count) {
  if (count >= kLanes) return panelUnits(row);
  Unit part[kLanes] = {};
  std::memcpy(part, row, static_cast<size_t>(count) * sizeof(Unit));
  return panelUnits(part);
}

template <class Unit>
Vec dot(const Unit* a, const Unit* b, int64_t units) {
  Vec sum{};
  for (int64_t i = 0; i < units; i += kLanes) multiplyAdd(sum, unitsFrom(a + i, units - i), unitsFrom(b + i, units - i));
  return sum;
}

/** The same for kLanes rows b, in lane i for row i, with its lanes summed. */
template <class Unit>
Vec dots(const Unit* a, const Unit* b, int64_t units, int64_t stride) {
  Vec sums[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= units; i += kLanes) {
    const auto part = panelUnits(a + i);
#pragma GCC unroll 16
    for (int j = 0; j < kLanes; j++) multiplyAdd(sums[j], part, panelUnits(b + j * stride + i));
  }
  if (i < units) {
    const auto part = unitsFrom(a + i, units - i);
#pragma GCC unroll 16
    for (int j = 0; j < kLanes; j++) multiplyAdd(sums[j], part, unitsFrom(b + j * stride + i, units - i));
  }
  return sumsOfLanes(sums);
}

/** scores[k] = query · keys[k] for `count` keys of `units` units. */
template <class Unit>
void scoreKeys(const Unit* query, const Unit* keys, int64_t units, int64_t stride, int64_t count, float* scores) {
  int64_t k = 0;
  for (; k + kLanes <= count; k += kLanes) store(scores + k, dots(query, keys + k * stride, units, stride));
  for (; k < count; k++) scores[k] = sumOfLanes(dot(query, keys + k * stride, units));
}

struct Softmax {
  float largest, sum;
};

/** exp(score − largest) of `count` scores as terms, filled up with zeros to whole vectors. */
template <class T>
Softmax exponentials(const float* scores, int64_t count, typename T::Unit* terms) {
  constexpr float lowest = -std::numeric_limits<float>::infinity();
  Vec best = splat(lowest), total{};
  const auto part = [&](int64_t i, float rest) {
    return i + kLanes <= count ? load(scores + i) : firstLanes(loadPart(scores + i, count - i), count - i, rest);
  };
  for (int64_t i = 0; i < count; i += kLanes) best = maximum(part(i, lowest), best);
  const float largest = maxOfLanes(best);
  for (int64_t i = 0; i < count; i += kLanes) {
    const Vec p = T::exponential(part(i, lowest) - largest);
    storeTerms<T>(terms, i, p);
    total += p;
  }
  return {largest, sumOfLanes(total)};
}

#if defined(__AVX512BF16__)
inline __m512bh pairUnits(VecBits pairs) { return (__m512bh)pairs; }
#else
VecBits pairUnits(VecBits pairs);  // operands have one term to a unit here
#endif

/** kLanes columns of one row of values, or of two neighbouring ones as pairs. */
template <class T>
inline auto valueUnits(const typename T::Unit* row, int64_t stride, int64_t column, int64_t count, bool pair) {
  if constexpr (T::kTerms == 1) {
    return headTerms<T>(row, column, count);
  } else {
    const VecBits even = (VecBits)headTerms<T>(row, column, count);
    const VecBits odd = pair ? (VecBits)headTerms<T>(row + stride, column, count) : VecBits{};
    return pairUnits((even >> 16) | odd);
  }
}

/** out[h] = Σ weights[h][k] · values[k] for Heads heads and Vecs vectors of the head's dimension from `column` on. */
template <class T, int Heads, int Vecs>
void sumValues(const typename T::Unit* weights, const typename T::Unit* values, int64_t stride, int64_t count,
               int64_t column, int64_t headDim, float* out) {
  Vec sums[Heads][Vecs] = {};
  const int64_t rest = headDim - column - (Vecs - 1) * kLanes;
  for (int64_t k = 0; k < count; k += T::kTerms) {
#pragma GCC unroll 4
    for (int v = 0; v < Vecs; v++) {
      const auto value = valueUnits<T>(values + k * stride, stride, column + v * kLanes, v + 1 < Vecs ? kLanes : rest,
                                       k + 1 < count);
#pragma GCC unroll 4
      for (int h = 0; h < Heads; h++) multiplyAdd(sums[h][v], broadcastUnit(weights[h * kChunk + k / T::kTerms]), value);
    }
  }
  for (int h = 0; h < Heads; h++)
    for (int v = 0; v < Vecs; v++) {
      float* to = out + h * headDim + column + v * kLanes;
      v + 1 < Vecs || rest >= kLanes ? store(to, sums[h][v]) : storePart(to, sums[h][v], rest);
    }
}

template <class T, int Heads>
void sumValuesOf(const typename T::Unit* weights, const typename T::Unit* values, int64_t stride, int64_t count,
                 int64_t headDim, float* out) {
  constexpr decltype(&sumValues<T, Heads, 1>) sums[] = {sumValues<T, Heads, 1>, sumValues<T, Heads, 2>,
                                                        sumValues<T, Heads, 3>, sumValues<T, Heads, 4>};
  for (int64_t column = 0; column < headDim; column += 4 * kLanes) {
    const int64_t vecs = std::min<int64_t>(divideUp(headDim - column, kLanes), 4);
    sums[vecs - 1](weights, values, stride, count, column, headDim, out);
  }
}

/** One row's heads of a key-value head over positions [first, last): unnormalised sums, and the softmax of each. */
template <class T>
void attendPositions(const NewRows& rows, const Cache<T>& cache, const Task& task, const typename T::Unit* queries,
                     float* out, Softmax* softmaxes) {
  const int64_t headDim = cache.headDim, stride = cache.stride(), group = rows.shape.group();
  const int64_t from = cache.offset(rows.sequences[task.row], task.kvHead, task.first), count = task.last - task.first;
  float scores[kChunk];
  typename T::Unit weights[kHeadsAtOnce * kChunk];
  for (int64_t h = 0; h < group; h += kHeadsAtOnce) {
    const int64_t heads = std::min(group - h, kHeadsAtOnce);
    for (int64_t j = 0; j < heads; j++) {
      scoreKeys(queries + (h + j) * stride, cache.keys + from, cache.units(), stride, count, scores);
      softmaxes[h + j] = exponentials<T>(scores, count, weights + j * kChunk);
    }
    constexpr decltype(&sumValuesOf<T, 1>) sums[] = {sumValuesOf<T, 1>, sumValuesOf<T, 2>, sumValuesOf<T, 3>,
                                                     sumValuesOf<T, 4>};
    sums[heads - 1](weights, cache.values + from, stride, count, headDim, out + h * headDim);
  }
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
              typename T::Unit* queries, float* buffer) {
  const auto [heads, kvHeads, headDim] = rows.shape;
  const int64_t position = rows.positions[row];
  const float* from = qkv + row * rows.shape.width();
  const float scale = 1.0f / std::sqrt(static_cast<float>(headDim));
  for (int64_t head = 0; head < heads; head++) {
    rotate(from + head * headDim, table, position, 1.0f, buffer);
    putHead<T>(queries + (row * heads + head) * cache.stride(), 0, buffer, scale, headDim);
  }
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
  const int64_t heads = rows.shape.heads, stride = cache.stride();
  auto* queries = engine.scratch.take<typename T::Unit>(rows.count * heads * stride);
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
    putHead<T>(out + task.row * rowUnits<T>(width), (task.kvHead * group + h) * headDim, x, 1.0f / sum, headDim);
  };
  const int64_t grain = 32768 / (headDim * group * (tasks.positions / tasks.singles + 1)) + 1;
  engine.team.ranges(tasks.singles, grain, [&](int64_t begin, int64_t end, int thread) {
    Scratch& scratch = engine.scratchOf(thread);
    scratch.reset();
    float* sums = scratch.take<float>(group * headDim);
    Softmax* softmaxes = scratch.take<Softmax>(group);
    for (int64_t index = begin; index < end; index++) {
      const Task& task = tasks.all[tasks.runs + index];
      const auto* query = queries + (task.row * heads + task.kvHead * group) * stride;
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
