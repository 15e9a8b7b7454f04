// Layouts of operands for the tiles of a matrix product: panels of the right operand, rows or tiles of the left one.
#pragma once

#include "tiles.h"

namespace mixtune {

template <class T>
constexpr int64_t unitsOf(int64_t terms) {
  return (terms + T::kTerms - 1) / T::kTerms;
}

/**
 * out[k][width] from `count` ≤ width rows of the inner dimension: element (k, i) is source[i · stride + k].
 * What is beyond `count` or `depth` becomes zero.
 */
template <class T>
void packTransposed(const float* source, int64_t stride, int64_t count, int64_t depth, int64_t width, typename T::Unit* out);

/** out[k][width] from rows of the outer dimension: element (k, i) is source[k · stride + i]. */
template <class T>
void packStraight(const float* source, int64_t stride, int64_t count, int64_t depth, int64_t width, typename T::Unit* out);

/** One row of `depth` terms as units. */
void packRow(const float* source, int64_t depth, uint32_t* out);

}  // namespace mixtune
