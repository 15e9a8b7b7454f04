// Matrix products on all threads of the team.
#pragma once

#include "engine.h"
#include "pack.h"

namespace mixtune {

/** A float matrix whose element (i, j) is data[i · stride + j], or data[j · stride + i] when transposed. */
struct Matrix {
  const float* data;
  int64_t stride;
  bool transposed;
};

/** Units that the panels of a right operand [depth, columns] take. */
template <class T>
int64_t panelUnits(int64_t depth, int64_t columns) {
  return (columns + kPanel - 1) / kPanel * kPanel * unitsOf<T>(depth);
}

/** Packs the right operand [depth, columns] into panels. */
template <class T>
void packPanels(Engine& engine, Matrix right, int64_t depth, int64_t columns, typename T::Unit* panels);

/** The rows of a left operand as units: the data itself in float, a rounded copy in scratch in bfloat16. */
Left<Float> leftRows(Engine& engine, Float, const float* data, int64_t stride, int64_t rows, int64_t depth);
Left<Bfloat16> leftRows(Engine& engine, Bfloat16, const float* data, int64_t stride, int64_t rows, int64_t depth);

/** out [rows, columns] (+)= left [rows, depth] · right, with the right operand already in panels. */
template <class T>
void multiplyPacked(Engine& engine, int64_t rows, int64_t columns, int64_t depth, Matrix left, const typename T::Unit* panels,
                    float* out, int64_t outStride, bool accumulate);

/** out [rows, columns] (+)= left [rows, depth] · right [depth, columns], in the precision of the engine. */
void multiply(Engine& engine, int64_t rows, int64_t columns, int64_t depth, Matrix left, Matrix right, float* out,
              int64_t outStride, bool accumulate);

/** The panels of a weight block as the right operand [depth, columns], packed again if the block was written to. */
template <class T>
const typename T::Unit* weightPanels(Engine& engine, Block* weight, PackedCopy Block::*copy, int64_t depth, int64_t columns);

/**
 * out [rows, columns] (+)= left [rows, depth] · right, where `right` is a weight block whose panels are kept in `copy`
 * until the block is written to.
 */
void multiplyByWeight(Engine& engine, int64_t rows, int64_t columns, int64_t depth, Matrix left, Block* weight,
                      PackedCopy Block::*copy, float* out, int64_t outStride, bool accumulate);

}  // namespace mixtune
