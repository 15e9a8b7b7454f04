// Rotary position embedding in the half-rotation form (Su et al. 2021, as in Llama).
#pragma once

#include <stdexcept>

#include "engine/engine.h"
#include "registers/simd.h"

namespace mixtune {

/** The widths of a row of concatenated q, k and v. */
struct HeadShape {
  int64_t heads, kvHeads, headDim;
  int64_t width() const { return (heads + 2 * kvHeads) * headDim; }
  int64_t queryWidth() const { return heads * headDim; }
  int64_t group() const { return heads / kvHeads; }
};

/** to = x rotated by the angles of its position, or back with direction −1. `to` may be `x`. */
inline void rotate(const float* x, const RotaryTable& table, int64_t position, float direction, float* to) {
  const int64_t half = table.headDim / 2;
  const float* cosine = table.cosine.data() + position * half;
  const float* sine = table.sine.data() + position * half;
  forEachVec(half, [&](int64_t i, auto load, auto store) {
    const Vec a = load(x + i), b = load(x + half + i), c = load(cosine + i), s = load(sine + i) * direction;
    store(to + i, a * c - b * s);
    store(to + half + i, b * c + a * s);
  });
}

/**
 * The table of a rotary embedding, by its number, for the given positions. Throws if head sizes do not fit together.
 */
inline const RotaryTable& tableFor(Engine& engine, const HeadShape& shape, int64_t rotary, const int32_t* positions,
                                   int64_t rows) {
  if (shape.headDim % 2 || shape.heads % shape.kvHeads) throw std::runtime_error("head sizes that do not fit together");
  int64_t last = 0;
  for (int64_t i = 0; i < rows; i++) {
    if (positions[i] < 0) throw std::runtime_error("a position is negative");
    if (positions[i] > last) last = positions[i];
  }
  return engine.rotaryTable(rotary, shape.headDim, last + 1);
}

}  // namespace mixtune
