// Self-attention as one operation: the product with q, k and v, attention, and the output product, without passes over
// memory in between.
#include "layer/attention.h"
#include "engine/operations.h"
#include "layer/sub-layer.h"

namespace mixtune {

namespace {

AttentionLayout readLayout(Arguments& in) {
  AttentionLayout at{};
  at.rows = in.extent();
  at.segmentCount = in.extent();
  at.shape.heads = in.extent();
  at.shape.kvHeads = in.extent();
  at.shape.headDim = in.extent();
  at.rotary = in.integer();
  at.positions = in.read<int32_t>(at.rows);
  at.segments = in.read<int32_t>(at.segmentCount + 1);
  return at;
}

double productFlops(const AttentionLayout& at, int64_t hidden) {
  return 2.0 * at.rows * hidden * (at.shape.width() + at.shape.queryWidth());
}

/** Flops of the scores and the sums of values, without what causality excludes. */
double attentionFlops(const AttentionLayout& at) {
  double pairs = 0;
  for (int64_t s = 0; s < at.segmentCount; s++) {
    const double length = at.segments[s + 1] - at.segments[s];
    pairs += length * (length + 1) / 2;
  }
  return 4.0 * pairs * at.shape.queryWidth();
}

}  // namespace

/**
 * rows, segments, heads, kvHeads, headDim, rotary, positions, segments, hidden, input (see SubLayerInput),
 * qkv weight, o weight, y, operand or 0, saved qkv or 0, saved out or 0, logSumExp or 0.
 */
void operations::selfAttention(Engine& engine, Arguments& in) {
  const AttentionLayout at = readLayout(in);
  const int64_t hidden = in.extent(), width = at.shape.width(), outWidth = at.shape.queryWidth();
  const SubLayerInput input(in, at.rows, hidden);
  Block* qkvWeight = in.block<float>(width * hidden);
  Block* oWeight = in.block<float>(hidden * outWidth);
  float* y = in.write(at.rows * hidden);
  inPrecision(engine, [&](auto kind) {
    using T = decltype(kind);
    const auto operand = writtenOperand<T>(in, at.rows, hidden);
    const auto given = [&](int64_t columns) {
      const auto rows = writtenOperand<T>(in, at.rows, columns);
      return rows.data ? rows : takeOperand<T>(engine, at.rows, columns);
    };
    const OperandRows<T> qkv = given(width), out = given(outWidth);
    float* logSumExp = in.write(at.shape.heads * at.rows);
    if (!logSumExp) logSumExp = engine.scratch.take<float>(at.shape.heads * at.rows);
    const auto left = inputRows<T>(engine, input, operand);
    multiplyRows<T>(engine, at.rows, divideUp(width, kPanel), unitsOf<T>(hidden), left,
                    weightPanels<T>(engine, qkvWeight, hidden, width), StoreOperand<T>(qkv));
    attend<T>(engine, at, qkv, out, logSumExp);
    multiplyRows<T>(engine, at.rows, divideUp(hidden, kPanel), unitsOf<T>(outWidth), out.left(),
                    weightPanels<T>(engine, oWeight, outWidth, hidden), StoreFloats(y, at.rows, hidden, false));
  });
  engine.count(productFlops(at, hidden) + attentionFlops(at),
               8.0 * at.rows * hidden + 2.0 * hidden * (width + outWidth) + 4.0 * at.rows * (width + outWidth));
}

/**
 * rows, segments, heads, kvHeads, headDim, rotary, positions, segments, hidden, dy, input (see
 * SubLayerInput), operand or 0, saved qkv, saved out, logSumExp, qkv weight, o weight, then dx, dNorm, dQkvWeight,
 * dOWeight, each as accumulate? and the tensor or 0.
 */
void operations::selfAttentionGradient(Engine& engine, Arguments& in) {
  const AttentionLayout at = readLayout(in);
  const int64_t hidden = in.extent(), width = at.shape.width(), outWidth = at.shape.queryWidth();
  const float* dy = in.read(at.rows * hidden);
  const SubLayerInput input(in, at.rows, hidden);
  inPrecision(engine, [&](auto kind) {
    using T = decltype(kind);
    const auto operand = savedOperand<T>(in, at.rows, hidden), qkv = savedOperand<T>(in, at.rows, width);
    requireSaved<T>(input, operand);
    const auto out = savedOperand<T>(in, at.rows, outWidth);
    const float* logSumExp = in.read(at.shape.heads * at.rows);
    const float* qkvWeight = in.read(width * hidden);
    const float* oWeight = in.read(hidden * outWidth);
    const GradientTarget dx(in, at.rows * hidden), dNorm(in, hidden);
    const GradientTarget dQkvWeight(in, width * hidden), dOWeight(in, hidden * outWidth);

    const OperandRows<T> above = takeOperand<T>(engine, at.rows, hidden);
    const OperandRows<T> dOut = takeOperand<T>(engine, at.rows, outWidth),
                         dQkv = takeOperand<T>(engine, at.rows, width);
    convertRows<T>(engine, dy, at.rows, hidden, above);
    multiplyRows<T>(engine, at.rows, divideUp(outWidth, kPanel), unitsOf<T>(hidden), above.left(),
                    weightPanelsAcross<T>(engine, oWeight, hidden, outWidth), StoreOperand<T>(dOut));
    attendBackward<T>(engine, at, dOut, qkv, out, logSumExp, dQkv);
    if (dOWeight.data)
      multiplyTokens<T>(engine, hidden, outWidth, at.rows, tokenPanels<T>(engine, above, at.rows, hidden),
                        tokenPanels<T>(engine, out, at.rows, outWidth), dOWeight.data, dOWeight.accumulate);
    if (dQkvWeight.data)
      multiplyTokens<T>(engine, width, hidden, at.rows, tokenPanels<T>(engine, dQkv, at.rows, width),
                        inputTokens<T>(engine, input, operand), dQkvWeight.data, dQkvWeight.accumulate);
    inputGradient(engine, input, dx, dNorm, [&](const StoreFloats& epilogue) {
      multiplyRows<T>(engine, at.rows, divideUp(hidden, kPanel), unitsOf<T>(width), dQkv.left(),
                      weightPanelsAcross<T>(engine, qkvWeight, width, hidden), epilogue);
    });
  });
  engine.count(2 * productFlops(at, hidden) + 2.5 * attentionFlops(at),
               8.0 * at.rows * hidden + 8.0 * hidden * (width + outWidth) + 8.0 * at.rows * (width + outWidth));
}

}  // namespace mixtune
