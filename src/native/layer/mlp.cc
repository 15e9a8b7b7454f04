// The gated MLP: down · (silu(gate · x) ∘ (up · x)), with SwiGLU in the epilogues of the products around it.
#include "engine/operations.h"
#include "layer/sub-layer.h"

namespace mixtune {

namespace {

struct Widths {
  int64_t rows, hidden, intermediate;
};

/**
 * Number of terms of a row in which kLanes of gate alternate with kLanes of up, as the products write and read them.
 */
int64_t gateUpTerms(int64_t intermediate) { return countIn(Order::kPairedHalves, 2 * intermediate); }

/** Epilogue of the product with gate and up: stores h and, if requested, gate and up. */
template <class T>
struct SwiGlu {
  OperandRows<T> gateUp, h;

  void prefetch(int64_t row, int64_t count, int64_t panel) const {
    for (int64_t r = row; r < row + count; r++) {
      h.prefetchForWriting(r, panel * kLanes);
      if (gateUp.data && !gateUp.streamed) gateUp.prefetchForWriting(r, panel * kPanel);
    }
  }

  void operator()(int64_t row, int64_t count, int64_t panel, const float* sums) const {
    for (int64_t r = row; r < row + count; r++, sums += kPanel) {
      const Vec gate = load(sums), up = load(sums + kLanes);
      h.store(r, panel * kLanes, gate * T::sigmoid(gate) * up);
      if (gateUp.data) gateUp.storePiece(r, panel * kPanel, gate, up);
    }
  }
};

/**
 * Epilogue of dh = dy · down: computes the gradients of gate and up, as rows for the input gradient and as token panels
 * for the weight gradients, and recomputes h for the gradient of down.
 */
template <class T>
struct SwiGluGradient {
  OperandRows<T> gateUp, gradient;
  TokenPanels<T> dGate, dUp, h;
  int64_t intermediate;

  struct Parts {
    Vec dGate, dUp, h;
  };

  void prefetch(int64_t row, int64_t count, int64_t panel) const {
    for (int64_t r = row; r < row + count; r++)
      for (int64_t i = 0; i < 2; i++) gateUp.prefetch(r, (2 * panel + i) * kPanel);
  }

  void operator()(int64_t row, int64_t count, int64_t panel, const float* sums) const {
    for (int64_t column = panel * kPanel; column < std::min((panel + 1) * kPanel, intermediate); column += kLanes) {
      const float* of = sums + column % kPanel;
      for (int64_t r = 0; r < count; r += 2) {
        const Parts even = partsOf(row + r, column, load(of + r * kPanel));
        const Parts odd = r + 1 < count ? partsOf(row + r + 1, column, load(of + (r + 1) * kPanel)) : Parts{};
        dGate.put(row + r, column, even.dGate, odd.dGate);
        dUp.put(row + r, column, even.dUp, odd.dUp);
        h.put(row + r, column, even.h, odd.h);
      }
    }
  }

  Parts partsOf(int64_t row, int64_t column, Vec dh) const {
    const Vec g = gateUp.load(row, 2 * column), u = gateUp.load(row, 2 * column + kLanes);
    const Vec s = T::sigmoid(g), silu = g * s;
    const Parts parts{dh * u * (s + silu * (1.0f - s)), dh * silu, silu * u};
    gradient.storePiece(row, 2 * column, parts.dGate, parts.dUp);
    return parts;
  }
};

double productFlops(const Widths& at) { return 6.0 * at.rows * at.hidden * at.intermediate; }
double weightBytes(const Widths& at) { return 6.0 * at.hidden * at.intermediate; }

template <class T>
void forward(Engine& engine, const Widths& at, const SubLayerInput& input, Block* gateUp, Block* down, float* y,
             const OperandRows<T>& operand, const OperandRows<T>& saved) {
  const auto left = inputRows<T>(engine, input, operand);
  const OperandRows<T> h = takeOperand<T>(engine, at.rows, at.intermediate);
  multiplyRows<T>(engine, at.rows, gateUpTerms(at.intermediate) / kPanel, unitsOf<T>(at.hidden), left,
                  weightPanels<T>(engine, gateUp, at.hidden, 2 * at.intermediate, Order::kPairedHalves),
                  SwiGlu<T>{saved, h});
  multiplyRows<T>(engine, at.rows, divideUp(at.hidden, kPanel), unitsOf<T>(at.intermediate), h.left(),
                  weightPanels<T>(engine, down, at.intermediate, at.hidden), StoreFloats(y, at.rows, at.hidden, false));
}

template <class T>
void backward(Engine& engine, const Widths& at, const float* dy, const SubLayerInput& input,
              const OperandRows<T>& operand, const OperandRows<T>& saved, const float* gateUp, const float* down,
              const GradientTarget& dx, const GradientTarget& dNorm, const GradientTarget& dGateUp,
              const GradientTarget& dDown) {
  const int64_t terms = gateUpTerms(at.intermediate);
  const OperandRows<T> above = takeOperand<T>(engine, at.rows, at.hidden);
  convertRows<T>(engine, dy, at.rows, at.hidden, above);
  const OperandRows<T> gradient = takeOperand<T>(engine, at.rows, terms);
  const TokenPanels<T> dGate = emptyTokenPanels<T>(engine, at.rows, at.intermediate);
  const TokenPanels<T> dUp = emptyTokenPanels<T>(engine, at.rows, at.intermediate);
  const TokenPanels<T> h = emptyTokenPanels<T>(engine, at.rows, at.intermediate);
  multiplyRows<T>(engine, at.rows, divideUp(at.intermediate, kPanel), unitsOf<T>(at.hidden), above.left(),
                  weightPanelsAcross<T>(engine, down, at.hidden, at.intermediate),
                  SwiGluGradient<T>{saved, gradient, dGate, dUp, h, at.intermediate});
  if (dDown.data)
    multiplyTokens<T>(engine, at.hidden, at.intermediate, at.rows, tokenPanels<T>(engine, above, at.rows, at.hidden), h,
                      dDown.data, dDown.accumulate);
  if (dGateUp.data) {
    const TokenPanels<T> tokens = inputTokens<T>(engine, input, operand);
    multiplyTokens<T>(engine, at.intermediate, at.hidden, at.rows, dGate, tokens, dGateUp.data, dGateUp.accumulate);
    multiplyTokens<T>(engine, at.intermediate, at.hidden, at.rows, dUp, tokens,
                      dGateUp.data + at.intermediate * at.hidden, dGateUp.accumulate);
  }
  inputGradient(engine, input, dx, dNorm, [&](const StoreFloats& epilogue) {
    multiplyRows<T>(engine, at.rows, divideUp(at.hidden, kPanel), unitsOf<T>(terms), gradient.left(),
                    weightPanelsAcross<T>(engine, gateUp, 2 * at.intermediate, at.hidden, Order::kPairedHalves),
                    epilogue);
  });
}

}  // namespace

/** rows, hidden, intermediate, input (see SubLayerInput), gateUp, down, y, operand or 0, saved gate and up or 0. */
void operations::gatedMlp(Engine& engine, Arguments& in) {
  const Widths at{in.extent(), in.extent(), in.extent()};
  const SubLayerInput input(in, at.rows, at.hidden);
  Block* gateUp = in.block<float>(2 * at.intermediate * at.hidden);
  Block* down = in.block<float>(at.intermediate * at.hidden);
  float* y = in.write(at.rows * at.hidden);
  inPrecision(engine, [&](auto kind) {
    using T = decltype(kind);
    const auto operand = writtenOperand<T>(in, at.rows, at.hidden);
    const auto saved = writtenOperand<T>(in, at.rows, gateUpTerms(at.intermediate));
    forward<T>(engine, at, input, gateUp, down, y, operand, saved);
    engine.count(productFlops(at), 8.0 * at.rows * at.hidden + weightBytes(at) + 8.0 * at.rows * at.intermediate);
  });
}

/**
 * rows, hidden, intermediate, dy, input (see SubLayerInput), operand or 0, saved gate and up, gateUp, down, then dx,
 * dNorm, dGateUp, dDown, each as accumulate? and the tensor or 0.
 */
void operations::gatedMlpGradient(Engine& engine, Arguments& in) {
  const Widths at{in.extent(), in.extent(), in.extent()};
  const float* dy = in.read(at.rows * at.hidden);
  const SubLayerInput input(in, at.rows, at.hidden);
  inPrecision(engine, [&](auto kind) {
    using T = decltype(kind);
    const auto operand = savedOperand<T>(in, at.rows, at.hidden);
    requireSaved<T>(input, operand);
    const auto saved = savedOperand<T>(in, at.rows, gateUpTerms(at.intermediate));
    const float* gateUp = in.read(2 * at.intermediate * at.hidden);
    const float* down = in.read(at.intermediate * at.hidden);
    const GradientTarget dx(in, at.rows * at.hidden), dNorm(in, at.hidden);
    const GradientTarget dGateUp(in, 2 * at.intermediate * at.hidden), dDown(in, at.intermediate * at.hidden);
    backward<T>(engine, at, dy, input, operand, saved, gateUp, down, dx, dNorm, dGateUp, dDown);
    engine.count(2 * productFlops(at),
                 8.0 * at.rows * at.hidden + 4 * weightBytes(at) + 20.0 * at.rows * at.intermediate);
  });
}

}  // namespace mixtune
