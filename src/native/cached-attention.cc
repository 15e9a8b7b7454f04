#include "cached-attention.h"

#include <algorithm>
#include <cmath>

namespace mixtune {

namespace {

/** Rows of one sequence from which on its queries are taken in blocks. */
constexpr int64_t kRun = 8;
/** Rows of such a block. */
constexpr int64_t kRunBlock = 4 * kTileRows;

/** Some neighbouring rows of a sequence, or positions [first, last) for a single row; and one key-value head. */
struct Task {
  int64_t row, count, kvHead, first, last;
  /** Number of the first of the parts that the row's heads are joined from; −1 where there is only this one. */
  int64_t part;
};

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
          for (int64_t first = 0; first < length; first += kPositionsAtOnce)
            *single++ = {i, 1, kvHead, first, std::min(length, first + kPositionsAtOnce), chunks > 1 ? parts++ : -1};
        }
      }
    });
  }

  static int64_t chunksOf(const NewRows& rows, int64_t row) { return rows.positions[row] / kPositionsAtOnce + 1; }

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
      const int64_t from = cache.offset(rows.sequences[task.row], task.kvHead, task.first);
      const int64_t count = task.last - task.first;
      if (task.part >= 0) {
        attendPositions(cache, from, count, group, query, partSums + task.part * group * headDim,
                        partSoftmaxes + task.part * group);
        continue;
      }
      attendPositions(cache, from, count, group, query, sums, softmaxes);
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
