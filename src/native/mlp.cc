// The gated MLP: down · (silu(gate · x) ∘ (up · x)), with SwiGLU in the epilogues of the products around it.
#include "gemm.h"
#include "operations.h"

namespace mixtune {

namespace {

struct Widths {
  int64_t rows, hidden, intermediate;
};

/**
 * Rows of gate and up as an operand: gate in the first unitsOf(intermediate) units of a row, up in as many behind them.
 */
template <class T>
struct GateUp {
  typename T::Unit* data;
  int64_t half;

  typename T::Unit* gate(int64_t row) const { return data + row * 2 * half; }
  typename T::Unit* up(int64_t row) const { return gate(row) + half; }
};

/** Finish of the product with gate and up, which are paired in each panel: keeps them (if asked to) and h. */
template <class T>
struct SwiGlu {
  GateUp<T> gateUp;
  typename T::Unit* h;
  int64_t intermediate;

  void operator()(int64_t row, int64_t count, int64_t panel, const float* sums) const {
    const int64_t column = panel * kLanes, width = intermediate - column;
    for (int64_t r = row; r < row + count; r++, sums += kPanel) {
      const Vec gate = load(sums), up = load(sums + kLanes), product = gate * sigmoid(gate) * up;
      put(h + r * unitsOf<T>(intermediate), column, product, width);
      if (!gateUp.data) continue;
      put(gateUp.gate(r), column, gate, width);
      put(gateUp.up(r), column, up, width);
    }
  }

  static void put(typename T::Unit* to, int64_t column, Vec x, int64_t width) {
    if (width >= kLanes)
      storeTerms<T>(to, column, x);
    else
      storeTerms<T>(to, column, x, width);
  }
};

/**
 * Finish of dh = dy · down: turns it into the gradients of gate and up, as rows for the input gradient and as token
 * panels for the weights', and computes h again for the gradient of down.
 */
template <class T>
struct SwiGluGradient {
  GateUp<T> gateUp, gradient;
  TokenPanels<T> dGate, dUp, h;
  int64_t intermediate;

  struct Parts {
    Vec dGate, dUp, h;
  };

  void operator()(int64_t row, int64_t count, int64_t panel, const float* sums) const {
    for (int64_t r = 0; r < count; r += 2) {
      for (int64_t i = 0; i < kPanel; i += kLanes) {
        const int64_t column = panel * kPanel + i;
        if (column >= intermediate) break;
        const Parts even = partsOf(row + r, column, load(sums + r * kPanel + i));
        const Parts odd = r + 1 < count ? partsOf(row + r + 1, column, load(sums + (r + 1) * kPanel + i)) : Parts{};
        dGate.put(row + r, column, even.dGate, odd.dGate);
        dUp.put(row + r, column, even.dUp, odd.dUp);
        h.put(row + r, column, even.h, odd.h);
      }
    }
  }

  Parts partsOf(int64_t row, int64_t column, Vec dh) const {
    const int64_t width = intermediate - column;
    const bool whole = width >= kLanes;
    const Vec g = whole ? loadTerms<T>(gateUp.gate(row), column) : loadTerms<T>(gateUp.gate(row), column, width);
    const Vec u = whole ? loadTerms<T>(gateUp.up(row), column) : loadTerms<T>(gateUp.up(row), column, width);
    const Vec s = sigmoid(g), silu = g * s;
    const Parts parts{dh * u * (s + silu * (1.0f - s)), dh * silu, silu * u};
    SwiGlu<T>::put(gradient.gate(row), column, parts.dGate, width);
    SwiGlu<T>::put(gradient.up(row), column, parts.dUp, width);
    return parts;
  }
};

double productFlops(const Widths& at) { return 6.0 * at.rows * at.hidden * at.intermediate; }
double weightBytes(const Widths& at) { return 6.0 * at.hidden * at.intermediate; }

template <class T>
void forward(Engine& engine, const Widths& at, const float* x, Block* gateUp, Block* down, float* y,
             typename T::Unit* operand, typename T::Unit* saved) {
  using Unit = typename T::Unit;
  const int64_t units = unitsOf<T>(at.hidden), half = unitsOf<T>(at.intermediate);
  Left<Unit> left{operand, units};
  if (operand)
    convertRows<T>(engine, x, at.rows, at.hidden, operand);
  else
    left = leftRows<T>(engine, x, at.rows, at.hidden);
  Unit* h = engine.scratch.take<Unit>(at.rows * half);
  multiplyRows<T>(engine, at.rows, divideUp(at.intermediate, kLanes), units, left,
                  weightPanels<T>(engine, gateUp, at.hidden, 2 * at.intermediate, Columns::kPairedHalves),
                  SwiGlu<T>{{saved, half}, h, at.intermediate});
  multiplyRows<T>(engine, at.rows, divideUp(at.hidden, kPanel), half, {h, half},
                  weightPanels<T>(engine, down, at.intermediate, at.hidden),
                  StoreFloats{y, at.hidden, at.hidden, false});
}

template <class T>
void backward(Engine& engine, const Widths& at, const float* dy, const typename T::Unit* operand,
              const typename T::Unit* saved, const Block* gateUp, const Block* down, float* dx, bool accumulateDx,
              float* dGateUp, bool accumulateDGateUp, float* dDown, bool accumulateDDown) {
  using Unit = typename T::Unit;
  const int64_t units = unitsOf<T>(at.hidden), half = unitsOf<T>(at.intermediate);
  Unit* above = engine.scratch.take<Unit>(at.rows * units);
  convertRows<T>(engine, dy, at.rows, at.hidden, above);
  const GateUp<T> gradient{engine.scratch.take<Unit>(at.rows * 2 * half), half};
  const TokenPanels<T> dGate = emptyTokenPanels<T>(engine, at.rows, at.intermediate);
  const TokenPanels<T> dUp = emptyTokenPanels<T>(engine, at.rows, at.intermediate);
  const TokenPanels<T> h = emptyTokenPanels<T>(engine, at.rows, at.intermediate);
  multiplyRows<T>(
      engine, at.rows, divideUp(at.intermediate, kPanel), units, {above, units},
      weightPanelsAcross<T>(engine, down, at.hidden, at.intermediate),
      SwiGluGradient<T>{{const_cast<Unit*>(saved), half}, gradient, dGate, dUp, h, at.intermediate});
  if (dDown)
    multiplyTokens<T>(engine, at.hidden, at.intermediate, at.rows,
                      tokenPanels<T>(engine, above, units, at.rows, at.hidden), h, dDown, accumulateDDown);
  if (dGateUp) {
    const TokenPanels<T> input = tokenPanels<T>(engine, operand, units, at.rows, at.hidden);
    multiplyTokens<T>(engine, at.intermediate, at.hidden, at.rows, dGate, input, dGateUp, accumulateDGateUp);
    multiplyTokens<T>(engine, at.intermediate, at.hidden, at.rows, dUp, input, dGateUp + at.intermediate * at.hidden,
                      accumulateDGateUp);
  }
  if (dx)
    multiplyRows<T>(engine, at.rows, divideUp(at.hidden, kPanel), 2 * half, {gradient.data, 2 * half},
                    weightPanelsAcross<T>(engine, gateUp, 2 * at.intermediate, at.hidden, 2),
                    StoreFloats{dx, at.hidden, at.hidden, accumulateDx});
}

}  // namespace

/** rows, hidden, intermediate, x, gateUp, down, y, operand or 0, saved gate and up or 0. */
void operations::gatedMlp(Engine& engine, Arguments& in) {
  const Widths at{in.integer(), in.integer(), in.integer()};
  const float* x = in.read(at.rows * at.hidden);
  Block* gateUp = in.block<float>(2 * at.intermediate * at.hidden);
  Block* down = in.block<float>(at.intermediate * at.hidden);
  float* y = in.write(at.rows * at.hidden);
  inPrecision(engine, [&](auto kind) {
    using T = decltype(kind);
    auto* operand = in.write<typename T::Unit>(at.rows * unitsOf<T>(at.hidden));
    auto* saved = in.write<typename T::Unit>(at.rows * 2 * unitsOf<T>(at.intermediate));
    forward<T>(engine, at, x, gateUp, down, y, operand, saved);
    engine.count(productFlops(at), 8.0 * at.rows * at.hidden + weightBytes(at) + 8.0 * at.rows * at.intermediate);
  });
}

/**
 * rows, hidden, intermediate, dy, operand, saved gate and up, gateUp, down, then dx, dGateUp, dDown, each as accumulate?
 * and the tensor or 0.
 */
void operations::gatedMlpGradient(Engine& engine, Arguments& in) {
  const Widths at{in.integer(), in.integer(), in.integer()};
  const float* dy = in.read(at.rows * at.hidden);
  inPrecision(engine, [&](auto kind) {
    using T = decltype(kind);
    const auto* operand = in.read<typename T::Unit>(at.rows * unitsOf<T>(at.hidden));
    const auto* saved = in.read<typename T::Unit>(at.rows * 2 * unitsOf<T>(at.intermediate));
    const Block* gateUp = in.block<float>(2 * at.intermediate * at.hidden);
    const Block* down = in.block<float>(at.intermediate * at.hidden);
    const bool accumulateDx = in.flag();
    float* dx = in.write(at.rows * at.hidden);
    const bool accumulateDGateUp = in.flag();
    float* dGateUp = in.write(2 * at.intermediate * at.hidden);
    const bool accumulateDDown = in.flag();
    float* dDown = in.write(at.intermediate * at.hidden);
    backward<T>(engine, at, dy, operand, saved, gateUp, down, dx, accumulateDx, dGateUp, accumulateDGateUp, dDown,
                accumulateDDown);
    engine.count(2 * productFlops(at),
                 8.0 * at.rows * at.hidden + 4 * weightBytes(at) + 20.0 * at.rows * at.intermediate);
  });
}

}  // namespace mixtune
