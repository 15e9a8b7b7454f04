// SwiGLU: silu(gate) · up, with gate and up side by side in one row.
#include "operations.h"
#include "simd.h"

namespace mixtune {

namespace {
int64_t rowsOfTask(int64_t width) { return 8192 / (width > 0 ? width : 1) + 1; }
}  // namespace

/** rows, intermediate, gateUp, out. */
void operations::swiglu(Engine& engine, Arguments& in) {
  const int64_t rows = in.integer(), width = in.integer();
  const float* gateUp = in.read(rows * width * 2);
  float* out = in.write(rows * width);
  engine.team.ranges(rows, rowsOfTask(width), [&](int64_t begin, int64_t end, int) {
    for (int64_t row = begin; row < end; row++) {
      const float* gate = gateUp + row * width * 2;
      const float* up = gate + width;
      float* to = out + row * width;
      forEachVec(width, [&](int64_t i, auto load, auto store) {
        const Vec g = load(gate + i);
        store(to + i, g * sigmoid(g) * load(up + i));
      });
    }
  });
}

/** rows, intermediate, dy, gateUp, dGateUp. */
void operations::swigluGradient(Engine& engine, Arguments& in) {
  const int64_t rows = in.integer(), width = in.integer();
  const float* dy = in.read(rows * width);
  const float* gateUp = in.read(rows * width * 2);
  float* dGateUp = in.write(rows * width * 2);
  engine.team.ranges(rows, rowsOfTask(width), [&](int64_t begin, int64_t end, int) {
    for (int64_t row = begin; row < end; row++) {
      const float* gate = gateUp + row * width * 2;
      const float* above = dy + row * width;
      float* dGate = dGateUp + row * width * 2;
      forEachVec(width, [&](int64_t i, auto load, auto store) {
        const Vec g = load(gate + i), u = load(gate + width + i), d = load(above + i);
        const Vec s = sigmoid(g);
        store(dGate + i, d * u * s * (1.0f + g * (1.0f - s)));
        store(dGate + width + i, d * g * s);
      });
    }
  });
}

}  // namespace mixtune
