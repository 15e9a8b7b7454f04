// A decoder layer over a cache, for decoding and prefill, and the logits of the next tokens.
#include "decoding/attend-new-rows.h"
#include "engine/operations.h"

namespace mixtune {

namespace {

struct Layer {
  int64_t hidden, intermediate;
  float eps;
  /** Post-LN: norms follow the residual additions. */
  bool post;
  const float* attentionNorm;
  const float* mlpNorm;
  Block *qkv, *o, *gateUp, *down;
};

/** Epilogue of the product with gate and up, which are paired in each panel: writes silu(gate) · up as an operand. */
template <class T>
struct SwiGlu : NoPrefetch {
  OperandRows<T> out;

  explicit SwiGlu(const OperandRows<T>& out) : out(out) {}

  void operator()(int64_t row, int64_t count, int64_t panel, const float* sums) const {
    for (int64_t r = row; r < row + count; r++, sums += kPanel) {
      const Vec gate = load(sums), up = load(sums + kLanes);
      out.store(r, panel * kLanes, gate * T::sigmoid(gate) * up);
    }
  }
};

/** Runs rows of the residual stream through the gated MLP, in place; with Post-LN also through both norms. */
template <class T>
void runMlp(Engine& engine, const Layer& layer, int64_t count, float* stream) {
  const int64_t hidden = layer.hidden, intermediate = layer.intermediate;
  const OperandRows<T> h = takeOperand<T>(engine, count, intermediate);
  const auto input = operandRows<T>(engine, count, hidden, [&](int64_t row, float* to) {
    float* x = stream + row * hidden;
    normalise(x, layer.post ? layer.attentionNorm : layer.mlpNorm, layer.eps, hidden, to);
    if (layer.post) std::copy_n(to, hidden, x);
  });
  streamRows<T>(engine, count, countIn(Order::kPairedHalves, 2 * intermediate) / kPanel, unitsOf<T>(hidden), input,
                keptPanels<T>(engine, layer.gateUp, hidden, 2 * intermediate, Order::kPairedHalves), SwiGlu<T>(h));
  streamRows<T>(engine, count, divideUp(hidden, kPanel), unitsOf<T>(intermediate), h.left(),
                keptPanels<T>(engine, layer.down, intermediate, hidden), StoreFloats(stream, count, hidden, true));
  if (!layer.post) return;
  engine.team.ranges(count, 4096 / hidden + 1, [&](int64_t begin, int64_t end, int) {
    for (int64_t row = begin; row < end; row++)
      normalise(stream + row * hidden, layer.mlpNorm, layer.eps, hidden, stream + row * hidden);
  });
}

/** Runs stream [rows, hidden] through one layer; after the attention only the rows whose results are wanted. */
template <class T>
void runLayer(Engine& engine, const Layer& layer, const NewRows& rows, const Cache<T>& cache, const RotaryTable& table,
              float* stream) {
  const int64_t hidden = layer.hidden, queryWidth = rows.shape.queryWidth(), results = rows.results();
  const OperandRows<T> attended =
      attendNewRows<T>(engine, rows, cache, table, layer.qkv, hidden, [&](int64_t row, float* to) {
        const float* x = stream + row * hidden;
        layer.post ? void(std::copy_n(x, hidden, to)) : normalise(x, layer.attentionNorm, layer.eps, hidden, to);
      });
  if (results == 0) return;

  float* wanted = stream;
  if (rows.wanted) {
    wanted = engine.scratch.take<float>(results * hidden);
    for (int64_t i = 0; i < results; i++) std::copy_n(stream + rows.rowOf(i) * hidden, hidden, wanted + i * hidden);
  }
  streamRows<T>(engine, results, divideUp(hidden, kPanel), unitsOf<T>(queryWidth), attended.left(),
                keptPanels<T>(engine, layer.o, queryWidth, hidden), StoreFloats(wanted, results, hidden, true));
  runMlp<T>(engine, layer, results, wanted);
  if (rows.wanted)
    for (int64_t i = 0; i < results; i++) std::copy_n(wanted + i * hidden, hidden, stream + rows.rowOf(i) * hidden);
}

/** Counts the flops of one layer, and the bytes of weights and cache that it reads. */
void countLayer(Engine& engine, const Layer& layer, const NewRows& rows) {
  const double before = layer.hidden * rows.shape.width();
  const double after = layer.hidden * (rows.shape.queryWidth() + 3.0 * layer.intermediate);
  const double operandBytes = engine.products == Products::kBfloat16 ? 2 : 4;
  double contexts = 0;
  for (int64_t i = 0; i < rows.results(); i++) contexts += rows.positions[rows.rowOf(i)] + 1;
  engine.count(2.0 * rows.count * before + 2.0 * rows.results() * after + 4.0 * contexts * rows.shape.queryWidth(),
               operandBytes * (before + after + 2.0 * contexts * rows.shape.kvHeads * rows.shape.headDim));
}

}  // namespace

/**
 * rows, wanted rows, sequences, panels of keys, heads, kvHeads, headDim, rotary, hidden, intermediate, eps,
 * Post-LN?, stream, sequence of each row, positions, wanted rows or 0, attention norm, qkv, o, mlp norm, gateUp, down,
 * keys, values.
 */
void operations::decoderLayer(Engine& engine, Arguments& in) {
  NewRows rows{};
  rows.count = in.extent();
  rows.wantedCount = in.integer();
  const int64_t sequenceCount = in.extent(), keyPanels = in.extent();
  rows.shape = {in.extent(), in.extent(), in.extent()};
  const int64_t rotary = in.integer();
  Layer layer{};
  const int64_t hidden = layer.hidden = in.extent(), intermediate = layer.intermediate = in.extent();
  layer.eps = in.real();
  layer.post = in.flag();
  float* stream = in.write(rows.count * hidden);
  rows.sequences = in.read<int32_t>(rows.count);
  rows.positions = in.read<int32_t>(rows.count);
  rows.wanted = in.read<int32_t>(rows.wantedCount);
  layer.attentionNorm = in.read(hidden);
  layer.qkv = in.block<float>(rows.shape.width() * hidden);
  layer.o = in.block<float>(rows.shape.queryWidth() * hidden);
  layer.mlpNorm = in.read(hidden);
  layer.gateUp = in.block<float>(2 * intermediate * hidden);
  layer.down = in.block<float>(intermediate * hidden);
  requirePlaces(rows, sequenceCount, keyPanels);
  for (int64_t i = 0; rows.wanted && i < rows.wantedCount; i++)
    if (rows.wanted[i] < 0 || rows.wanted[i] >= rows.count || (i > 0 && rows.wanted[i] <= rows.wanted[i - 1]))
      throw std::runtime_error("wanted rows are not ascending numbers of rows");
  const RotaryTable& table = tableFor(engine, rows.shape, rotary, rows.positions, rows.count);
  countLayer(engine, layer, rows);
  inPrecision(engine, [&](auto kind) {
    using T = decltype(kind);
    const Cache<T> cache = readCache<T>(in, rows.shape, sequenceCount, keyPanels);
    for (int64_t first = 0; first < rows.count; first += kRowsAtOnce) {
      const NewRows part = rows.part(first, std::min(kRowsAtOnce, rows.count - first));
      runLayer<T>(engine, layer, part, cache, table, stream + first * hidden);
      engine.scratch.reset();
    }
  });
}

/** rows, chosen, hidden, vocabulary, eps, stream, chosen rows, norm, head, logits [chosen, vocabulary]. */
void operations::nextLogits(Engine& engine, Arguments& in) {
  const int64_t rows = in.extent(), chosen = in.extent(), hidden = in.extent(), vocabulary = in.extent();
  const float eps = in.real();
  const float* stream = in.read(rows * hidden);
  const int32_t* chosenRows = in.read<int32_t>(chosen);
  const float* weight = in.read(hidden);
  Block* head = in.block<float>(vocabulary * hidden);
  float* logits = in.write(chosen * vocabulary);
  for (int64_t i = 0; i < chosen; i++)
    if (chosenRows[i] < 0 || chosenRows[i] >= rows) throw std::runtime_error("a chosen row does not exist");
  const double size = static_cast<double>(vocabulary * hidden);
  engine.count(2 * static_cast<double>(chosen) * size,
               size * (engine.products == Products::kBfloat16 ? 2 : 4) + 4 * static_cast<double>(chosen * vocabulary));
  inPrecision(engine, [&](auto kind) {
    using T = decltype(kind);
    const auto left = operandRows<T>(engine, chosen, hidden, [&](int64_t row, float* to) {
      normalise(stream + chosenRows[row] * hidden, weight, eps, hidden, to);
    });
    streamRows<T>(engine, chosen, divideUp(vocabulary, kPanel), unitsOf<T>(hidden), left,
                  keptPanels<T>(engine, head, hidden, vocabulary), StoreFloats(logits, chosen, vocabulary, false));
  });
}

}  // namespace mixtune
