// Elementwise operations on operands that broadcast to the shape of the result.
#include "engine/operations.h"
#include "registers/simd.h"

namespace mixtune {

namespace {

constexpr int kRank = 4;
constexpr int64_t kGrain = 16384;

/** The four extents of a result and, for each operand, the step of each dimension (0 if it is broadcast). */
template <int Operands>
struct Broadcast {
  int64_t extent[kRank];
  int64_t step[Operands][kRank];

  explicit Broadcast(Arguments& in) {
    for (int64_t& each : extent) each = in.integer();
    for (auto& operand : step)
      for (int64_t& each : operand) each = in.integer();
    merge();
  }

  int64_t count() const { return extent[0] * extent[1] * extent[2] * extent[3]; }
  int64_t rows() const { return extent[0] * extent[1] * extent[2]; }

  /** Number of elements that an operand spans. */
  int64_t span(int operand) const {
    int64_t last = 0;
    for (int d = 0; d < kRank; d++)
      if (extent[d] > 0) last += (extent[d] - 1) * step[operand][d];
    return last + 1;
  }

  /** Offset of row `row` (an index over all but the last dimension) in an operand. */
  int64_t offset(int operand, int64_t row) const {
    const int64_t second = row % extent[2], first = row / extent[2];
    return second * step[operand][2] + first % extent[1] * step[operand][1] + first / extent[1] * step[operand][0];
  }

 private:
  /**
   * Merges neighbouring dimensions that have a common stride in every operand, to make the last as long as possible.
   */
  void merge() {
    for (int d = kRank - 2; d >= 0; d--) {
      if (!joins(d)) continue;
      const int64_t joined = extent[d] * extent[d + 1];
      for (auto& operand : step)
        if (extent[d + 1] == 1) operand[d + 1] = operand[d];
      extent[d + 1] = joined;
      for (int e = d; e > 0; e--) moveDimension(e - 1, e);
      extent[0] = 1;
      for (auto& operand : step) operand[0] = 0;
    }
  }

  bool joins(int d) const {
    if (extent[d] == 1 || extent[d + 1] == 1) return true;
    for (const auto& operand : step)
      if (operand[d] != operand[d + 1] * extent[d + 1]) return false;
    return true;
  }

  void moveDimension(int from, int to) {
    extent[to] = extent[from];
    for (auto& operand : step) operand[to] = operand[from];
  }
};

/** Visits the result in runs of the last dimension, with a fixed number of elements per task. */
template <int Operands, class Run>
void forEachRun(Engine& engine, const Broadcast<Operands>& shape, const Run& run) {
  const int64_t columns = shape.extent[3];
  if (shape.count() == 0) return;
  const int64_t pieces = (columns + kGrain - 1) / kGrain;
  const int64_t rowsOfTask = columns >= kGrain ? 1 : kGrain / columns;
  engine.team.ranges(shape.rows() * pieces, rowsOfTask, [&](int64_t begin, int64_t end, int) {
    for (int64_t index = begin; index < end; index++) {
      const int64_t row = index / pieces, first = index % pieces * kGrain;
      run(row, first, first + kGrain < columns ? kGrain : columns - first);
    }
  });
}

template <class Function>
void combine(Engine& engine, const Broadcast<2>& shape, const float* a, const float* b, float* out,
             const Function& function) {
  const int64_t stepA = shape.step[0][3], stepB = shape.step[1][3];
  forEachRun(engine, shape, [&](int64_t row, int64_t first, int64_t count) {
    const float* left = a + shape.offset(0, row) + first * stepA;
    const float* right = b + shape.offset(1, row) + first * stepB;
    float* to = out + row * shape.extent[3] + first;
    forEachVec(count, [&](int64_t i, auto load, auto store) {
      store(to + i, function(stepA ? load(left + i) : splat(*left), stepB ? load(right + i) : splat(*right)));
    });
  });
}

enum Binary { kAdd, kSubtract, kMultiply, kDivide, kMaximum, kGreater };

/** NaN if either is NaN. */
Vec maximumOrNaN(Vec a, Vec b) { return a > b ? a : (b >= a ? b : a + b); }

}  // namespace

/** kind, extents [4], steps of a [4], steps of b [4], a, b, out. */
void operations::binary(Engine& engine, Arguments& in) {
  const int64_t kind = in.integer();
  const Broadcast<2> shape(in);
  const float* a = in.read(shape.span(0));
  const float* b = in.read(shape.span(1));
  float* out = in.write(shape.count());
  switch (kind) {
    case kAdd:
      return combine(engine, shape, a, b, out, [](Vec x, Vec y) { return x + y; });
    case kSubtract:
      return combine(engine, shape, a, b, out, [](Vec x, Vec y) { return x - y; });
    case kMultiply:
      return combine(engine, shape, a, b, out, [](Vec x, Vec y) { return x * y; });
    case kDivide:
      return combine(engine, shape, a, b, out, [](Vec x, Vec y) { return x / y; });
    case kMaximum:
      return combine(engine, shape, a, b, out, maximumOrNaN);
    case kGreater:
      return combine(engine, shape, a, b, out, [](Vec x, Vec y) { return x > y ? splat(1.0f) : Vec{}; });
    default:
      throw std::runtime_error("unknown kind of operation");
  }
}

/** extents [4], steps of condition, a and b [4 each], condition, a, b, out. */
void operations::select(Engine& engine, Arguments& in) {
  const Broadcast<3> shape(in);
  const float* operand[3];
  for (int i = 0; i < 3; i++) operand[i] = in.read(shape.span(i));
  float* out = in.write(shape.count());
  forEachRun(engine, shape, [&](int64_t row, int64_t first, int64_t count) {
    const float* from[3];
    for (int i = 0; i < 3; i++) from[i] = operand[i] + shape.offset(i, row) + first * shape.step[i][3];
    float* to = out + row * shape.extent[3] + first;
    forEachVec(count, [&](int64_t i, auto load, auto store) {
      const auto value = [&](int k) { return shape.step[k][3] ? load(from[k] + i) : splat(*from[k]); };
      store(to + i, value(0) != Vec{} ? value(1) : value(2));
    });
  });
}

}  // namespace mixtune
