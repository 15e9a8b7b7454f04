// One decoder layer over a cache, for decoding and prefill, and the logits of the tokens that come next.
#include <cmath>
#include <cstring>

#include "cached-attention.h"
#include "streamed-product.h"

namespace mixtune {

namespace {

/** Rows that pass through the layer together, so that what they produce stays in cache. */
constexpr int64_t kRowsAtOnce = 512;

void normalise(const float* x, const float* weight, float eps, int64_t count, float* to) {
  Vec total{};
  forEachVec(count, [&](int64_t i, auto load, auto) {
    const Vec v = load(x + i);
    total += v * v;
  });
  const float inverse = 1.0f / std::sqrt(sumOfLanes(total) / static_cast<float>(count) + eps);
  forEachVec(count, [&](int64_t i, auto load, auto store) { store(to + i, load(x + i) * inverse * load(weight + i)); });
}

void copy(const float* x, int64_t count, float* to) { std::memcpy(to, x, static_cast<size_t>(count) * sizeof(float)); }

struct Layer {
  int64_t hidden, intermediate;
  float eps;
  /** Post-LN: norms stand behind the residual additions. */
  bool post;
  const float* attentionNorm;
  const float* mlpNorm;
  Block *qkv, *attentionOut, *gateUp, *down;
};

template <class T>
void runLayer(Engine& engine, const Layer& layer, const CachedRows& at, const RotaryTable& table, float* stream) {
  const int64_t rows = at.rows, hidden = layer.hidden, intermediate = layer.intermediate;
  const int64_t queryWidth = at.shape.queryWidth(), qkvWidth = at.shape.width();
  const auto product = [&](Left<typename T::Unit> left, Block* weight, int64_t inner, int64_t columns, float* out,
                           bool accumulate) {
    const auto* panels = weightPanels<T>(engine, weight, &Block::forward, inner, columns);
    streamedProduct<T>(engine, rows, columns, inner, left, panels, out, accumulate);
  };

  float* qkv = engine.scratch.take<float>(rows * qkvWidth);
  const auto attentionInput = operandRows<T>(engine, rows, hidden, [&](int64_t row, float* to) {
    const float* x = stream + row * hidden;
    layer.post ? copy(x, hidden, to) : normalise(x, layer.attentionNorm, layer.eps, hidden, to);
  });
  product(attentionInput, layer.qkv, hidden, qkvWidth, qkv, false);

  float* attended = engine.scratch.take<float>(rows * queryWidth);
  attendCached(engine, at, table, qkv, attended);
  const auto attentionOutput = operandRows<T>(
      engine, rows, queryWidth, [&](int64_t row, float* to) { copy(attended + row * queryWidth, queryWidth, to); });
  product(attentionOutput, layer.attentionOut, queryWidth, hidden, stream, true);

  float* gateUp = engine.scratch.take<float>(rows * 2 * intermediate);
  const auto mlpInput = operandRows<T>(engine, rows, hidden, [&](int64_t row, float* to) {
    float* x = stream + row * hidden;
    normalise(x, layer.post ? layer.attentionNorm : layer.mlpNorm, layer.eps, hidden, to);
    if (layer.post) copy(to, hidden, x);
  });
  product(mlpInput, layer.gateUp, hidden, 2 * intermediate, gateUp, false);

  const auto activations = operandRows<T>(engine, rows, intermediate, [&](int64_t row, float* to) {
    const float* gate = gateUp + row * 2 * intermediate;
    forEachVec(intermediate, [&](int64_t i, auto load, auto store) {
      const Vec g = load(gate + i);
      store(to + i, g * sigmoid(g) * load(gate + intermediate + i));
    });
  });
  product(activations, layer.down, intermediate, hidden, stream, true);
  if (!layer.post) return;
  engine.team.ranges(rows, 4096 / hidden + 1, [&](int64_t begin, int64_t end, int) {
    for (int64_t row = begin; row < end; row++)
      normalise(stream + row * hidden, layer.mlpNorm, layer.eps, hidden, stream + row * hidden);
  });
}

}  // namespace

/**
 * rows, sequences, capacity, heads, kvHeads, headDim, theta, hidden, intermediate, eps, Post-LN?,
 * stream, sequence of each row, positions, keys, values, attention norm, qkv, attention out, mlp norm, gateUp, down.
 */
void operations::decoderLayer(Engine& engine, Arguments& in) {
  CachedRows at{};
  at.rows = in.integer();
  at.sequenceCount = in.integer();
  at.capacity = in.integer();
  at.shape.heads = in.integer();
  at.shape.kvHeads = in.integer();
  at.shape.headDim = in.integer();
  at.theta = in.number();
  Layer layer{};
  const int64_t hidden = layer.hidden = in.integer(), intermediate = layer.intermediate = in.integer();
  layer.eps = in.real();
  layer.post = in.flag();
  float* stream = in.write(at.rows * hidden);
  at.sequences = in.read<int32_t>(at.rows);
  at.positions = in.read<int32_t>(at.rows);
  at.keys = in.write(at.cacheSize());
  at.values = in.write(at.cacheSize());
  layer.attentionNorm = in.read(hidden);
  layer.qkv = in.block<float>(at.shape.width() * hidden);
  layer.attentionOut = in.block<float>(at.shape.queryWidth() * hidden);
  layer.mlpNorm = in.read(hidden);
  layer.gateUp = in.block<float>(2 * intermediate * hidden);
  layer.down = in.block<float>(intermediate * hidden);
  checkRows(at);
  const RotaryTable& table = tableFor(engine, at.shape, at.theta, at.positions, at.rows);

  const double weights = static_cast<double>(hidden * (at.shape.width() + at.shape.queryWidth() + 3 * intermediate));
  double contexts = 0;
  for (int64_t row = 0; row < at.rows; row++) contexts += at.positions[row] + 1;
  engine.count(2 * static_cast<double>(at.rows) * weights + 4 * contexts * static_cast<double>(at.shape.queryWidth()),
               weights * (engine.products == Products::kBfloat16 ? 2 : 4) +
                   8 * contexts * static_cast<double>(at.shape.kvHeads * at.shape.headDim));

  for (int64_t first = 0; first < at.rows; first += kRowsAtOnce) {
    const CachedRows part = at.part(first, std::min(kRowsAtOnce, at.rows - first));
    inPrecision(engine, [&](auto kind) {
      runLayer<decltype(kind)>(engine, layer, part, table, stream + first * hidden);
    });
    engine.scratch.reset();
  }
}

/** rows, chosen, hidden, vocabulary, eps, stream, chosen rows, norm, head, logits [chosen, vocabulary]. */
void operations::nextLogits(Engine& engine, Arguments& in) {
  const int64_t rows = in.integer(), chosen = in.integer(), hidden = in.integer(), vocabulary = in.integer();
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
    const auto* panels = weightPanels<T>(engine, head, &Block::forward, hidden, vocabulary);
    streamedProduct<T>(engine, chosen, vocabulary, hidden, left, panels, logits, false);
  });
}

}  // namespace mixtune
