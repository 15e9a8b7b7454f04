// Matrix products as operations: the general one, and a linear layer with its two gradients.
#include "gemm.h"
#include "operations.h"

namespace mixtune {

/** batch, M, N, K, transpose a?, transpose b?, accumulate?, a, b, out. */
void operations::matmul(Engine& engine, Arguments& in) {
  const int64_t batch = in.integer(), rows = in.integer(), columns = in.integer(), depth = in.integer();
  const bool transposeA = in.flag(), transposeB = in.flag(), accumulate = in.flag();
  const float* a = in.read(batch * rows * depth);
  const float* b = in.read(batch * depth * columns);
  float* out = in.write(batch * rows * columns);
  for (int64_t i = 0; i < batch; i++) {
    const Matrix left{a + i * rows * depth, transposeA ? rows : depth, transposeA};
    const Matrix right{b + i * depth * columns, transposeB ? depth : columns, transposeB};
    multiply(engine, rows, columns, depth, left, right, out + i * rows * columns, columns, accumulate);
  }
}

/** rows, in, out, x, w, out: out [rows, out] = x [rows, in] · w [out, in]ᵀ. */
void operations::linear(Engine& engine, Arguments& in) {
  const int64_t rows = in.integer(), inputs = in.integer(), outputs = in.integer();
  const float* x = in.read(rows * inputs);
  Block* weight = in.block<float>(outputs * inputs);
  float* out = in.write(rows * outputs);
  multiplyByWeight(engine, rows, outputs, inputs, {x, inputs, false}, weight, &Block::forward, out, outputs, false);
}

/** rows, in, out, accumulate?, dy, w, dx: dx [rows, in] (+)= dy [rows, out] · w [out, in]. */
void operations::linearInputGradient(Engine& engine, Arguments& in) {
  const int64_t rows = in.integer(), inputs = in.integer(), outputs = in.integer();
  const bool accumulate = in.flag();
  const float* dy = in.read(rows * outputs);
  const float* w = in.read(outputs * inputs);
  float* dx = in.write(rows * inputs);
  // Packed anew each time: in training every update makes a kept copy stale, and nothing else needs this layout.
  multiply(engine, rows, inputs, outputs, {dy, outputs, false}, {w, inputs, false}, dx, inputs, accumulate);
}

/** rows, in, out, accumulate?, dy, x, dw: dw [out, in] (+)= dy [rows, out]ᵀ · x [rows, in]. */
void operations::linearWeightGradient(Engine& engine, Arguments& in) {
  const int64_t rows = in.integer(), inputs = in.integer(), outputs = in.integer();
  const bool accumulate = in.flag();
  const float* dy = in.read(rows * outputs);
  const float* x = in.read(rows * inputs);
  float* dw = in.write(outputs * inputs);
  multiply(engine, outputs, inputs, rows, {dy, outputs, true}, {x, inputs, false}, dw, inputs, accumulate);
}

/** block: gives back what was packed from it, because its tensor is gone. */
void operations::forgetPacked(Engine& engine, Arguments& in) {
  Block* block = in.block<float>(0);
  for (PackedCopy* copy : {&block->forward, &block->inputGradient}) {
    engine.packedBytes -= static_cast<int64_t>(copy->bytes);
    *copy = PackedCopy();
  }
}

}  // namespace mixtune
