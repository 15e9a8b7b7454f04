#include "layer/norm.h"

#include <cmath>

#include "engine/operations.h"

namespace mixtune {

namespace {

constexpr int64_t kRows = 16;
/** Number of rows whose contributions to the weight's gradient are summed first, which fixes the order of the sum. */
constexpr int64_t kRowsOfPartial = 32;

}  // namespace

float inverseRmsOf(const float* x, int64_t count, float eps) {
  Vec total{};
  forEachVec(count, [&](int64_t i, auto load, auto) {
    const Vec v = load(x + i);
    total += v * v;
  });
  return 1.0f / std::sqrt(sumOfLanes(total) / static_cast<float>(count) + eps);
}

void normGradient(Engine& engine, int64_t rows, int64_t hidden, const float* dy, const float* x, const float* weight,
                  const float* inverseRms, const GradientTarget& dx, const GradientTarget& dWeight) {
  const int64_t partials = (rows + kRowsOfPartial - 1) / kRowsOfPartial;
  float* partial = dWeight.data ? engine.scratch.take<float>(partials * hidden) : nullptr;

  engine.team.ranges(rows, kRowsOfPartial, [&](int64_t begin, int64_t end, int) {
    float* sums = partial ? partial + begin / kRowsOfPartial * hidden : nullptr;
    for (int64_t row = begin; row < end; row++) {
      const float* up = dy + row * hidden;
      const float* from = x + row * hidden;
      const float inverse = inverseRms[row];
      if (sums) {
        forEachVec(hidden, [&](int64_t i, auto load, auto store) {
          const Vec term = load(up + i) * load(from + i) * inverse;
          store(sums + i, row == begin ? term : load(sums + i) + term);
        });
      }
      if (!dx.data) continue;
      Vec total{};
      forEachVec(hidden,
                 [&](int64_t i, auto load, auto) { total += load(up + i) * load(weight + i) * load(from + i); });
      const float shrink = sumOfLanes(total) * inverse * inverse * inverse / static_cast<float>(hidden);
      float* to = dx.data + row * hidden;
      forEachVec(hidden, [&](int64_t i, auto load, auto store) {
        const Vec value = load(up + i) * load(weight + i) * inverse - load(from + i) * shrink;
        store(to + i, dx.accumulate ? load(to + i) + value : value);
      });
    }
  });

  if (!partial) return;
  engine.team.ranges(hidden, 128, [&](int64_t begin, int64_t end, int) {
    forEachVec(end - begin, [&](int64_t i, auto load, auto store) {
      float* to = dWeight.data + begin + i;
      Vec total = dWeight.accumulate ? load(to) : Vec{};
      for (int64_t k = 0; k < partials; k++) total += load(partial + k * hidden + begin + i);
      store(to, total);
    });
  });
}

/** rows, hidden, eps, x, weight, y, inverseRms. */
void operations::rmsNorm(Engine& engine, Arguments& in) {
  const int64_t rows = in.extent(), hidden = in.extent();
  const float eps = in.real();
  const float* x = in.read(rows * hidden);
  const float* weight = in.read(hidden);
  float* y = in.write(rows * hidden);
  float* inverseRms = in.write(rows);
  engine.team.ranges(rows, kRows, [&](int64_t begin, int64_t end, int) {
    for (int64_t row = begin; row < end; row++) {
      inverseRms[row] = inverseRmsOf(x + row * hidden, hidden, eps);
      scaleRow(x + row * hidden, inverseRms[row], weight, hidden, y + row * hidden);
    }
  });
}

/** rows, hidden, dy, x, weight, inverseRms, then dx and dWeight, each as accumulate? and the tensor or 0. */
void operations::rmsNormGradient(Engine& engine, Arguments& in) {
  const int64_t rows = in.extent(), hidden = in.extent();
  const float* dy = in.read(rows * hidden);
  const float* x = in.read(rows * hidden);
  const float* weight = in.read(hidden);
  const float* inverseRms = in.read(rows);
  const GradientTarget dx(in, rows * hidden), dWeight(in, hidden);
  normGradient(engine, rows, hidden, dy, x, weight, inverseRms, dx, dWeight);
}

}  // namespace mixtune
