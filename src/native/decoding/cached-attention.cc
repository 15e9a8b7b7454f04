#include "decoding/cached-attention.h"

#include <algorithm>
#include <cmath>

namespace mixtune {

namespace {

/** From this number of rows of one sequence, its queries are processed in blocks. */
constexpr int64_t kRun = 8;
/** Number of rows of such a block. */
template <class Unit>
constexpr int64_t kRunBlock = 4 * kTileRows<Unit>;

/** One key-value head and either neighbouring rows of a sequence, or positions [first, last) of a single row. */
struct Task {
  /** The first row, and the row of its result; the following rows go to the following results. */
  int64_t row, result;
  int64_t count, kvHead, first, last;
  /** Number of this part of a row whose positions are split, −1 if they are not. */
  int64_t part;
};

#if defined(__AVX512BF16__)
/** Stores one of the two terms of each of kLanes units. The other is not touched: another thread may be writing it. */
inline void storeTermOfPairs(uint32_t* units, bool odd, Vec x) {
  const __m512i terms = (__m512i) __builtin_convertvector(bfloat16Terms(x), VecBits);
  _mm512_mask_storeu_epi16(units, odd ? 0xaaaaaaaau : 0x55555555u, odd ? _mm512_slli_epi32(terms, 16) : terms);
}
#endif

/** Stores columns [column, column + kLanes) of one token. */
template <class T>
void putToken(const TokenPanels<T, kPanel>& panels, int64_t token, int64_t column, Vec x) {
  auto* to = panels.data + column / kPanel * panels.stride + token / T::kTerms * kPanel + column % kPanel;
  if constexpr (T::kTerms == 1) {
    store(to, T::rounded(x));
  } else {
#if defined(__AVX512BF16__)
    storeTermOfPairs(to, token % 2 != 0, x);
#endif
  }
}

/** Writes a key and a value, [headDim] each, to the cache; `units` is scratch for a key. */
template <class T>
void enter(const Cache<T>& cache, int64_t sequence, int64_t kvHead, int64_t position, const float* key,
           const float* value, typename T::Unit* units) {
  packRow<T>(key, cache.headDim, units);
  auto* to = cache.keysOf(sequence, kvHead) + position / kPanel * cache.keyStride() + position % kPanel;
  for (int64_t i = 0; i < cache.units(); i++) to[i * kPanel] = units[i];
  const auto values = cache.valuesOf(sequence, kvHead);
  for (int64_t i = 0; i < cache.headDim; i += kLanes) {
    const int64_t rest = cache.headDim - i;
    putToken<T>(values, position, i, rest >= kLanes ? load(value + i) : loadPart(value + i, rest));
  }
}

/** Rounds a head of queries or keys, as training does between product and rotation, and rotates it. */
template <class T>
void rotateRounded(const float* head, const RotaryTable& table, int64_t position, float* to) {
  forEachVec(table.headDim, [&](int64_t i, auto load, auto store) { store(to + i, T::rounded(load(head + i))); });
  rotate(to, table, position, 1.0f, to);
}

/** Rotates a row's queries, and writes its keys and values to the cache. */
template <class T>
void enterRow(const NewRows& rows, const Cache<T>& cache, const RotaryTable& table, int64_t row, const float* qkv,
              typename T::Unit* queries, float* buffer, typename T::Unit* units) {
  const auto [heads, kvHeads, headDim] = rows.shape;
  const int64_t position = rows.positions[row], sequence = rows.sequences[row];
  const float* from = qkv + row * rows.shape.width();
  for (int64_t head = 0; head < heads; head++) {
    rotateRounded<T>(from + head * headDim, table, position, buffer);
    packRow<T>(buffer, headDim, queries + (row * heads + head) * rowUnits<T>(headDim));
  }
  // The rest of the panel is cleared once per panel and run of rows; after a single row, the previous row has done so.
  const auto next = [&](int64_t a) {
    return a >= 0 && a + 1 < rows.count && rows.sequences[a + 1] == rows.sequences[a] &&
           rows.positions[a + 1] == rows.positions[a] + 1;
  };
  const bool clear = !next(row) && (next(row - 1) || position % kPanel == 0);
  for (int64_t kvHead = 0; kvHead < kvHeads; kvHead++) {
    const float* key = from + (heads + kvHead) * headDim;
    rotateRounded<T>(key, table, position, buffer);
    enter(cache, sequence, kvHead, position, buffer, key + kvHeads * headDim, units);
    for (int64_t token = position + 1; clear && token % kPanel != 0; token++)
      for (int64_t i = 0; i < headDim; i += kLanes) putToken<T>(cache.valuesOf(sequence, kvHead), token, i, Vec{});
  }
}

/** The tasks of a step: first those of runs, then those of single rows. */
struct Tasks {
  Task* all;
  int64_t runs = 0, singles = 0, parts = 0, positions = 0;

  Tasks(const NewRows& rows, int64_t runBlock, Scratch& scratch) {
    // Counts the tasks first, to allocate them in scratch.
    forEachRun(rows, [&](int64_t, int64_t row, int64_t end) {
      if (end - row >= kRun) {
        runs += divideUp(end - row, runBlock) * rows.shape.kvHeads;
        return;
      }
      for (; row < end; row++) singles += chunksOf(rows, row) * rows.shape.kvHeads;
    });
    all = scratch.take<Task>(runs + singles);
    Task *run = all, *single = all + runs;
    forEachRun(rows, [&](int64_t result, int64_t row, int64_t end) {
      for (int64_t kvHead = 0; kvHead < rows.shape.kvHeads; kvHead++) {
        if (end - row >= kRun) {
          // The last blocks attend to the most keys, so they start first.
          for (int64_t first = (end - row - 1) / runBlock * runBlock; first >= 0; first -= runBlock)
            *run++ = {row + first, result + first, std::min(runBlock, end - row - first), kvHead, 0, 0, -1};
          continue;
        }
        for (int64_t i = row; i < end; i++) {
          const int64_t length = rows.positions[i] + 1, chunks = chunksOf(rows, i);
          positions += length;
          for (int64_t first = 0; first < length; first += kPositionsAtOnce)
            *single++ = {i,
                         result + i - row,
                         1,
                         kvHead,
                         first,
                         std::min(length, first + kPositionsAtOnce),
                         chunks > 1 ? parts++ : -1};
        }
      }
    });
  }

  static int64_t chunksOf(const NewRows& rows, int64_t row) { return rows.positions[row] / kPositionsAtOnce + 1; }

  /** Calls visit(result, row, end) for each run of wanted rows [row, end) that are neighbours in one sequence. */
  template <class Visit>
  static void forEachRun(const NewRows& rows, const Visit& visit) {
    if (rows.wanted) {
      for (int64_t i = 0; i < rows.wantedCount; i++) visit(i, rows.rowOf(i), rows.rowOf(i) + 1);
      return;
    }
    for (int64_t row = 0, end; row < rows.count; row = end) {
      for (end = row + 1; end < rows.count && rows.sequences[end] == rows.sequences[row] &&
                          rows.positions[end] == rows.positions[end - 1] + 1;)
        end++;
      visit(row, row, end);
    }
  }
};

}  // namespace

template <class T>
void attendCached(Engine& engine, const NewRows& rows, const Cache<T>& cache, const RotaryTable& table,
                  const float* qkv, const OperandRows<T>& out) {
  const int64_t headDim = cache.headDim, group = rows.shape.group(), width = rows.shape.queryWidth();
  const int64_t heads = rows.shape.heads, stride = rowUnits<T>(headDim);
  auto* queries = engine.scratch.take<typename T::Unit>(rows.count * heads * stride);
  const int64_t rowsOfTask = std::min(16384 / width + 1, divideUp(rows.count, engine.team.size()));
  engine.team.ranges(rows.count, rowsOfTask, [&](int64_t begin, int64_t end, int thread) {
    Scratch& scratch = engine.scratchOf(thread);
    scratch.reset();
    float* buffer = scratch.take<float>(headDim);
    auto* units = scratch.take<typename T::Unit>(stride);
    for (int64_t row = begin; row < end; row++) enterRow(rows, cache, table, row, qkv, queries, buffer, units);
  });

  const Tasks tasks(rows, kRunBlock<typename T::Unit>, engine.scratch);
  engine.team.parallel(tasks.runs, [&](int64_t index, int thread) {
    const Task& task = tasks.all[index];
    attendRun(rows, cache, task.row, task.count, task.kvHead, queries, out, engine.scratchOf(thread));
  });
  if (tasks.singles == 0) return;

  float* partSums = engine.scratch.take<float>(tasks.parts * group * headDim);
  Softmax* partSoftmaxes = engine.scratch.take<Softmax>(tasks.parts * group);
  const auto put = [&](const Task& task, int64_t h, const float* x, float sum) {
    putHead(out, task.result, (task.kvHead * group + h) * headDim, x, 1.0f / sum, headDim);
  };
  const int64_t grain = 32768 / (headDim * group * (tasks.positions / tasks.singles + 1)) + 1;
  engine.team.stretches(tasks.singles, grain, [&](int64_t begin, int64_t end, int thread) {
    Scratch& scratch = engine.scratchOf(thread);
    scratch.reset();
    float* sums = scratch.take<float>(group * headDim);
    Softmax* softmaxes = scratch.take<Softmax>(group);
    for (int64_t index = begin; index < end; index++) {
      const Task& task = tasks.all[tasks.runs + index];
      const auto* query = queries + (task.row * heads + task.kvHead * group) * stride;
      const bool part = task.part >= 0;
      const Task& next = tasks.all[tasks.runs + std::min(index + 1, end - 1)];
      const auto* ahead = cache.keysOf(rows.sequences[next.row], next.kvHead) + next.first / kPanel * cache.keyStride();
      attendPositions(cache, rows.sequences[task.row], task.kvHead, task.first, task.last, group, query, ahead,
                      part ? partSums + task.part * group * headDim : sums,
                      part ? partSoftmaxes + task.part * group : softmaxes);
      if (part) continue;
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

#define MIXTUNE_INSTANTIATE(T)                                                                              \
  template void attendCached<T>(Engine&, const NewRows&, const Cache<T>&, const RotaryTable&, const float*, \
                                const OperandRows<T>&);
MIXTUNE_FOR_EACH_KIND(MIXTUNE_INSTANTIATE)
#undef MIXTUNE_INSTANTIATE

}  // namespace mixtune
