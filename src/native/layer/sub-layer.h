// The input of a sub-layer from the residual stream: x, or RMSNorm of x if a norm precedes it. Normalised rows are not
// kept for the gradient but recomputed from x, which the stream keeps, in the pass that lays them out for a product.
#pragma once

#include "products/gemm.h"
#include "layer/norm.h"

namespace mixtune {

/** x [rows, hidden], and the norm before the sub-layer; without a norm `weight` is null. */
struct SubLayerInput {
  int64_t rows, hidden;
  const float* x;
  const float* weight;
  float eps;
  /** 1/rms of each row, written by the forward pass if given, [rows]. */
  float* inverseRms;

  /** Reads x, weight or 0, eps, inverseRms or 0; without a norm, x may also be 0 in the gradient. */
  SubLayerInput(Arguments& in, int64_t rows, int64_t hidden)
      : rows(rows),
        hidden(hidden),
        x(in.read(rows * hidden)),
        weight(in.read(hidden)),
        eps(in.real()),
        inverseRms(in.write(rows)) {}
};

/** The left operand of the sub-layer's first product; fills `saved` if it has memory. */
template <class T>
Left<typename T::Unit> inputRows(Engine& engine, const SubLayerInput& in, const OperandRows<T>& saved) {
  if (!saved.data && !in.weight) return leftRows<T>(engine, in.x, in.rows, in.hidden);
  const OperandRows<T> operand = saved.data ? saved : takeOperand<T>(engine, in.rows, in.hidden);
  if (!in.weight) {
    convertRows<T>(engine, in.x, in.rows, in.hidden, operand);
    return operand.left();
  }
  engine.team.ranges(in.rows, 32768 / (in.hidden + 1) + 1, [&](int64_t begin, int64_t end, int thread) {
    Scratch& scratch = engine.scratchOf(thread);
    scratch.reset();
    float* y = scratch.take<float>(in.hidden);
    for (int64_t row = begin; row < end; row++) {
      const float* x = in.x + row * in.hidden;
      const float inverse = inverseRmsOf(x, in.hidden, in.eps);
      if (in.inverseRms) in.inverseRms[row] = inverse;
      scaleRow(x, inverse, in.weight, in.hidden, y);
      operand.storeRow(row, 0, y, in.hidden);
    }
  });
  return operand.left();
}

/** The input of the sub-layer's first product as token panels, from `saved` or recomputed. */
template <class T>
TokenPanels<T> inputTokens(Engine& engine, const SubLayerInput& in, const OperandRows<T>& saved) {
  if (!in.weight) return tokenPanels<T>(engine, saved, in.rows, in.hidden);
  return scaledTokenPanels<T>(engine, in.x, in.inverseRms, in.weight, in.rows, in.hidden);
}

/**
 * Computes the gradients of x and the norm's weight. multiply(epilogue) must run the product for that of inputRows.
 */
template <class Multiply>
void inputGradient(Engine& engine, const SubLayerInput& in, const GradientTarget& dx, const GradientTarget& dWeight,
                   const Multiply& multiply) {
  if (!in.weight) {
    if (dx.data) multiply(StoreFloats(dx.data, in.rows, in.hidden, dx.accumulate));
    return;
  }
  if (!dx.data && !dWeight.data) return;
  float* dy = engine.scratch.take<float>(in.rows * in.hidden);
  multiply(StoreFloats(dy, in.rows, in.hidden, false));
  normGradient(engine, in.rows, in.hidden, dy, in.x, in.weight, in.inverseRms, dx, dWeight);
}

/** Throws unless everything that the gradient reads was saved. */
template <class T>
void requireSaved(const SubLayerInput& in, const OperandRows<T>& saved) {
  if (in.weight ? !in.x || !in.inverseRms : !saved.data) throw std::runtime_error("its input was not saved");
}

}  // namespace mixtune
