// RMSNorm: y = x / √(mean(x²) + eps) · weight over the last axis.
#include <cmath>

#include "operations.h"
#include "simd.h"

namespace mixtune {

namespace {

constexpr int64_t kRows = 16;
/** Rows whose contributions to the weight's gradient are summed before they meet the others: fixes the order. */
constexpr int64_t kRowsOfPartial = 32;

float sumOfSquares(const float* x, int64_t count) {
  Vec total{};
  forEachVec(count, [&](int64_t i, auto load, auto) {
    const Vec v = load(x + i);
    total += v * v;
  });
  return sumOfLanes(total);
}

}  // namespace

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
      const float* from = x + row * hidden;
      float* to = y + row * hidden;
      const float inverse = 1.0f / std::sqrt(sumOfSquares(from, hidden) / static_cast<float>(hidden) + eps);
      inverseRms[row] = inverse;
      forEachVec(hidden,
                 [&](int64_t i, auto load, auto store) { store(to + i, load(from + i) * inverse * load(weight + i)); });
    }
  });
}

/** rows, hidden, accumulate dx?, accumulate dWeight?, dy, x, weight, inverseRms, dx or 0, dWeight or 0. */
void operations::rmsNormGradient(Engine& engine, Arguments& in) {
  const int64_t rows = in.extent(), hidden = in.extent();
  const bool accumulateDx = in.flag(), accumulateDWeight = in.flag();
  const float* dy = in.read(rows * hidden);
  const float* x = in.read(rows * hidden);
  const float* weight = in.read(hidden);
  const float* inverseRms = in.read(rows);
  float* dx = in.write(rows * hidden);
  float* dWeight = in.write(hidden);
  const int64_t partials = (rows + kRowsOfPartial - 1) / kRowsOfPartial;
  float* partial = dWeight ? engine.scratch.take<float>(partials * hidden) : nullptr;

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
      if (!dx) continue;
      Vec total{};
      forEachVec(hidden,
                 [&](int64_t i, auto load, auto) { total += load(up + i) * load(weight + i) * load(from + i); });
      const float shrink = sumOfLanes(total) * inverse * inverse * inverse / static_cast<float>(hidden);
      float* to = dx + row * hidden;
      forEachVec(hidden, [&](int64_t i, auto load, auto store) {
        const Vec value = load(up + i) * load(weight + i) * inverse - load(from + i) * shrink;
        store(to + i, accumulateDx ? load(to + i) + value : value);
      });
    }
  });

  if (!dWeight) return;
  engine.team.ranges(hidden, 128, [&](int64_t begin, int64_t end, int) {
    forEachVec(end - begin, [&](int64_t i, auto load, auto store) {
      Vec total = accumulateDWeight ? load(dWeight + begin + i) : Vec{};
      for (int64_t k = 0; k < partials; k++) total += load(partial + k * hidden + begin + i);
      store(dWeight + begin + i, total);
    });
  });
}

}  // namespace mixtune
