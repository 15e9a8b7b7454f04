// Sums and maxima over any dimensions. The order of a sum only depends on the shape.
#include <cmath>
#include <limits>

#include "engine/operations.h"
#include "registers/simd.h"

namespace mixtune {

namespace {

constexpr int kRank = 4;
constexpr int64_t kGrain = 16384;
/** Number of elements that are summed in float; these partial sums are then added in double. */
constexpr int64_t kPartial = 4096;

enum Reduce { kSum, kMax };

/** Dimensions, each reduced or kept. Neighbours of the same kind are merged, so the two kinds alternate. */
struct Reduction {
  int rank = 0;
  int64_t extent[kRank];
  bool reduced[kRank];

  explicit Reduction(Arguments& in) {
    for (int d = 0; d < kRank; d++) {
      const int64_t size = in.integer();
      const bool flag = in.flag();
      if (size == 1) continue;
      if (rank > 0 && reduced[rank - 1] == flag) {
        extent[rank - 1] *= size;
      } else {
        extent[rank] = size;
        reduced[rank++] = flag;
      }
    }
  }

  int64_t product(bool flag) const {
    int64_t size = 1;
    for (int d = 0; d < rank; d++)
      if (reduced[d] == flag) size *= extent[d];
    return size;
  }

  /** Offset in x of the element `index` of the dimensions with this flag. */
  int64_t offset(int64_t index, bool flag) const {
    int64_t offset = 0, step = 1;
    for (int d = rank - 1; d >= 0; d--) {
      if (reduced[d] == flag) {
        offset += index % extent[d] * step;
        index /= extent[d];
      }
      step *= extent[d];
    }
    return offset;
  }
};

float largerOrNaN(float a, float b) { return a > b || std::isnan(a) ? a : b; }

double sumOf(const float* x, int64_t count) {
  double total = 0;
  for (int64_t first = 0; first < count; first += kPartial) {
    Vec partial{};
    const int64_t length = count - first < kPartial ? count - first : kPartial;
    forEachVec(length, [&](int64_t i, auto load, auto) { partial += load(x + first + i); });
    total += static_cast<double>(sumOfLanes(partial));
  }
  return total;
}

float maxOf(const float* x, int64_t count) {
  float best = x[0];
  for (int64_t i = 1; i < count; i++) best = largerOrNaN(best, x[i]);
  return best;
}

/** Reduces all of x to one number. */
void reduceAll(Engine& engine, bool sum, const float* x, int64_t count, float* out, bool accumulate) {
  const int64_t chunks = (count + kGrain - 1) / kGrain;
  double* partial = engine.scratch.take<double>(chunks);
  engine.team.ranges(count, kGrain, [&](int64_t begin, int64_t end, int) {
    partial[begin / kGrain] = sum ? sumOf(x + begin, end - begin) : static_cast<double>(maxOf(x + begin, end - begin));
  });
  double result = sum ? 0 : partial[0];
  for (int64_t i = 0; i < chunks; i++)
    result = sum ? result + partial[i]
                 : static_cast<double>(largerOrNaN(static_cast<float>(result), static_cast<float>(partial[i])));
  *out = accumulate ? *out + static_cast<float>(result) : static_cast<float>(result);
}

/** Reduces only the last dimension: one run for each element of the result. */
void reduceRows(Engine& engine, bool sum, const float* x, int64_t rows, int64_t columns, float* out, bool accumulate) {
  engine.team.ranges(rows, kGrain / columns + 1, [&](int64_t begin, int64_t end, int) {
    for (int64_t row = begin; row < end; row++) {
      const float* from = x + row * columns;
      const float result = sum ? static_cast<float>(sumOf(from, columns)) : maxOf(from, columns);
      out[row] = accumulate ? out[row] + result : result;
    }
  });
}

/** Reduces the middle one of the dimensions (outer, reduced, inner): whole rows are added up. */
void reduceMiddle(Engine& engine, bool sum, const float* x, int64_t outer, int64_t middle, int64_t inner, float* out,
                  bool accumulate) {
  constexpr int64_t kColumns = 64;
  const int64_t blocks = (inner + kColumns - 1) / kColumns;
  engine.team.parallel(outer * blocks, [&](int64_t task, int) {
    const int64_t column = task % blocks * kColumns, slab = task / blocks;
    const int64_t width = inner - column < kColumns ? inner - column : kColumns;
    const float* from = x + slab * middle * inner + column;
    float* to = out + slab * inner + column;
    forEachVec(width, [&](int64_t i, auto load, auto store) {
      Vec result = load(from + i);
      for (int64_t k = 1; k < middle; k++) {
        const Vec next = load(from + k * inner + i);
        result = sum ? result + next : ((result > next) | (result != result) ? result : next);
      }
      store(to + i, accumulate ? load(to + i) + result : result);
    });
  });
}

void reduceAny(Engine& engine, bool sum, const float* x, const Reduction& shape, float* out, bool accumulate) {
  const int64_t kept = shape.product(false), reduced = shape.product(true);
  engine.team.ranges(kept, kGrain / reduced + 1, [&](int64_t begin, int64_t end, int) {
    for (int64_t index = begin; index < end; index++) {
      const float* from = x + shape.offset(index, false);
      double total = sum ? 0 : static_cast<double>(from[0]);
      for (int64_t k = 0; k < reduced; k++) {
        const float next = from[shape.offset(k, true)];
        total =
            sum ? total + static_cast<double>(next) : static_cast<double>(largerOrNaN(static_cast<float>(total), next));
      }
      out[index] = accumulate ? out[index] + static_cast<float>(total) : static_cast<float>(total);
    }
  });
}

}  // namespace

/** kind, (extent, reduced?) of four dimensions, accumulate?, x, out. */
void operations::reduce(Engine& engine, Arguments& in) {
  const bool sum = in.integer() == kSum;
  const Reduction shape(in);
  const bool accumulate = in.flag();
  const int64_t kept = shape.product(false), reduced = shape.product(true);
  const float* x = in.read(kept * reduced);
  float* out = in.write(kept);
  if (kept == 0) return;
  if (reduced == 0) throw std::runtime_error("nothing to reduce");
  const int64_t last = shape.rank > 0 ? shape.extent[shape.rank - 1] : 1;
  if (kept == 1) {
    reduceAll(engine, sum, x, reduced, out, accumulate);
  } else if (reduced == 1 || (shape.rank == 2 && shape.reduced[1])) {
    reduceRows(engine, sum, x, kept, reduced, out, accumulate);
  } else if (shape.rank <= 3 && shape.reduced[shape.rank - 2] && !shape.reduced[shape.rank - 1]) {
    reduceMiddle(engine, sum, x, kept / last, reduced, last, out, accumulate);
  } else {
    reduceAny(engine, sum, x, shape, out, accumulate);
  }
}

}  // namespace mixtune
