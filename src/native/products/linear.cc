// Matrix products as operations: the general one, and a linear layer with its two gradients.
#include "products/gemm.h"
#include "engine/operations.h"

namespace mixtune {

namespace {

/** A float matrix whose element (i, j) is data[i · stride + j], or data[j · stride + i] if it is transposed. */
struct Matrix {
  const float* data;
  int64_t stride;
  bool transposed;
};

const float* transposed(Engine& engine, const float* data, int64_t rows, int64_t columns) {
  float* out = engine.scratch.take<float>(rows * columns);
  engine.team.ranges(columns, 16, [&](int64_t begin, int64_t end, int) {
    for (int64_t row = 0; row < rows; row++)
      for (int64_t column = begin; column < end; column++) out[column * rows + row] = data[row * columns + column];
  });
  return out;
}

/** out [rows, columns] (+)= left [rows, depth] · right. */
template <class T>
void multiply(Engine& engine, int64_t rows, int64_t columns, int64_t depth, const float* left, Matrix right, float* out,
              bool accumulate) {
  const int64_t units = unitsOf<T>(depth), stride = panelStride(units);
  auto* panels = engine.scratch.take<typename T::Unit>(panelsSize(units, columns));
  engine.team.parallel(divideUp(columns, kPanel), [&](int64_t panel, int) {
    const int64_t column = panel * kPanel, width = std::min<int64_t>(kPanel, columns - column);
    const int64_t first = std::min<int64_t>(width, kLanes);
    if (right.transposed) {
      const float* source = right.data + column * right.stride;
      packTransposed<T>(source, first, source + kLanes * right.stride, width - first, right.stride, depth,
                        panels + panel * stride);
    } else {
      packStraight<T>(right.data + column, right.stride, width, depth, kPanel, stride, panels + panel * stride);
    }
  });
  multiplyRows<T>(engine, rows, divideUp(columns, kPanel), units, leftRows<T>(engine, left, rows, depth), panels,
                  StoreFloats(out, rows, columns, accumulate));
}

/** Converts a float matrix [tokens, columns] to token panels in scratch. */
template <class T>
TokenPanels<T> tokenPanelsOf(Engine& engine, const float* data, int64_t tokens, int64_t columns) {
  const TokenPanels<T> panels = emptyTokenPanels<T>(engine, tokens, columns);
  engine.team.ranges(columns, 8 * kLanes, [&](int64_t begin, int64_t end, int) {
    packStraight<T>(data + begin, columns, end - begin, tokens, kLanes, panels.stride,
                    panels.data + begin / kLanes * panels.stride);
  });
  return panels;
}

}  // namespace

/** batch, M, N, K, transpose a?, transpose b?, accumulate?, a, b, out. */
void operations::matmul(Engine& engine, Arguments& in) {
  const int64_t batch = in.extent(), rows = in.extent(), columns = in.extent(), depth = in.extent();
  const bool transposeA = in.flag(), transposeB = in.flag(), accumulate = in.flag();
  const float* a = in.read(batch * rows * depth);
  const float* b = in.read(batch * depth * columns);
  float* out = in.write(batch * rows * columns);
  engine.count(2.0 * batch * rows * columns * depth, 4.0 * batch * (rows * depth + depth * columns + rows * columns));
  for (int64_t i = 0; i < batch; i++) {
    const float* left = a + i * rows * depth;
    if (transposeA) left = transposed(engine, left, depth, rows);
    const Matrix right{b + i * depth * columns, transposeB ? depth : columns, transposeB};
    inPrecision(engine, [&](auto kind) {
      multiply<decltype(kind)>(engine, rows, columns, depth, left, right, out + i * rows * columns, accumulate);
    });
    engine.scratch.reset();
  }
}

/** rows, in, out, x, w, out: out [rows, out] = x [rows, in] · w [out, in]ᵀ. */
void operations::linear(Engine& engine, Arguments& in) {
  const int64_t rows = in.extent(), inputs = in.extent(), outputs = in.extent();
  const float* x = in.read(rows * inputs);
  Block* weight = in.block<float>(outputs * inputs);
  float* out = in.write(rows * outputs);
  engine.count(2.0 * rows * inputs * outputs, 4.0 * rows * (inputs + outputs) + 2.0 * inputs * outputs);
  inPrecision(engine, [&](auto kind) {
    using T = decltype(kind);
    const auto* panels = weightPanels<T>(engine, weight, inputs, outputs);
    multiplyRows<T>(engine, rows, divideUp(outputs, kPanel), unitsOf<T>(inputs), leftRows<T>(engine, x, rows, inputs),
                    panels, StoreFloats(out, rows, outputs, false));
  });
}

/** rows, in, out, accumulate?, dy, w, dx: dx [rows, in] (+)= dy [rows, out] · w [out, in]. */
void operations::linearInputGradient(Engine& engine, Arguments& in) {
  const int64_t rows = in.extent(), inputs = in.extent(), outputs = in.extent();
  const bool accumulate = in.flag();
  const float* dy = in.read(rows * outputs);
  const float* weight = in.read(outputs * inputs);
  float* dx = in.write(rows * inputs);
  engine.count(2.0 * rows * inputs * outputs, 4.0 * rows * (inputs + outputs) + 4.0 * inputs * outputs);
  inPrecision(engine, [&](auto kind) {
    using T = decltype(kind);
    const auto* panels = weightPanelsAcross<T>(engine, weight, outputs, inputs);
    multiplyRows<T>(engine, rows, divideUp(inputs, kPanel), unitsOf<T>(outputs), leftRows<T>(engine, dy, rows, outputs),
                    panels, StoreFloats(dx, rows, inputs, accumulate));
  });
}

/** rows, in, out, accumulate?, dy, x, dw: dw [out, in] (+)= dy [rows, out]ᵀ · x [rows, in]. */
void operations::linearWeightGradient(Engine& engine, Arguments& in) {
  const int64_t rows = in.extent(), inputs = in.extent(), outputs = in.extent();
  const bool accumulate = in.flag();
  const float* dy = in.read(rows * outputs);
  const float* x = in.read(rows * inputs);
  float* dw = in.write(outputs * inputs);
  engine.count(2.0 * rows * inputs * outputs, 4.0 * rows * (inputs + outputs) + 4.0 * inputs * outputs);
  inPrecision(engine, [&](auto kind) {
    using T = decltype(kind);
    multiplyTokens<T>(engine, outputs, inputs, rows, tokenPanelsOf<T>(engine, dy, rows, outputs),
                      tokenPanelsOf<T>(engine, x, rows, inputs), dw, accumulate);
  });
}

/** block: frees the packed copy of a block whose tensor was freed. */
void operations::forgetPacked(Engine& engine, Arguments& in) {
  PackedCopy& copy = in.block<float>(0)->packed;
  engine.packedBytes -= static_cast<int64_t>(copy.bytes);
  copy = PackedCopy();
}

}  // namespace mixtune
