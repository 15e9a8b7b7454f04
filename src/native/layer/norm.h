// RMSNorm (Zhang & Sennrich 2019, eq. 4) of rows: y = x · inverse · weight with inverse = 1 / √(mean(x²) + eps).
#pragma once

#include "engine/engine.h"
#include "registers/simd.h"

namespace mixtune {

/** 1 / √(mean(x²) + eps). */
float inverseRmsOf(const float* x, int64_t count, float eps);

/** y = x · inverse · weight. */
inline void scaleRow(const float* x, float inverse, const float* weight, int64_t count, float* y) {
  forEachVec(count, [&](int64_t i, auto load, auto store) { store(y + i, load(x + i) * inverse * load(weight + i)); });
}

/** Computes the gradients of x [rows, hidden] and weight [hidden] from dy [rows, hidden]. */
void normGradient(Engine& engine, int64_t rows, int64_t hidden, const float* dy, const float* x, const float* weight,
                  const float* inverseRms, const GradientTarget& dx, const GradientTarget& dWeight);

}  // namespace mixtune
