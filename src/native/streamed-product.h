// Products of few rows with a weight: its panels are read once from memory while all rows stay in cache.
#pragma once

#include <algorithm>

#include "gemm.h"

namespace mixtune {

/**
 * A left operand [rows, depth] as units in scratch. fill(row, buffer) computes a row as floats, padded by up to a
 * vector; it is then rounded once. Few rows are computed where they are asked for: a dispatch would cost more.
 */
template <class T, class Fill>
Left<typename T::Unit> operandRows(Engine& engine, int64_t rows, int64_t depth, const Fill& fill) {
  using Unit = typename T::Unit;
  const int64_t units = unitsOf<T>(depth), stride = (units + 15) / 16 * 16 + 16;
  Unit* packed = engine.scratch.take<Unit>(rows * stride);
  engine.team.ranges(rows, 4096 / depth + 1, [&](int64_t begin, int64_t end, int thread) {
    Scratch& scratch = engine.scratchOf(thread);
    scratch.reset();
    float* buffer = scratch.take<float>(depth + kLanes);
    for (int64_t row = begin; row < end; row++) {
      fill(row, buffer);
      packRow<T>(buffer, depth, packed + row * stride);
    }
  });
  return {packed, stride};
}

/**
 * out [rows, columns] (+)= left [rows, depth] · panels, all terms of an element summed in one order whatever the rows:
 * a row's result does not depend on the rows beside it.
 */
template <class T>
void streamedProduct(Engine& engine, int64_t rows, int64_t columns, int64_t depth, Left<typename T::Unit> left,
                     const typename T::Unit* panels, float* out, bool accumulate);

}  // namespace mixtune
