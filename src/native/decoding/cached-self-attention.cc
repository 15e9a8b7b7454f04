// Self-attention of new rows over a cache as a single operation, for layers without an operation of their own.
#include "decoding/attend-new-rows.h"
#include "engine/operations.h"

namespace mixtune {

/**
 * rows, sequences, panels of keys, heads, kvHeads, headDim, rotary, hidden, eps, sequence of each row, positions, x,
 * norm or 0, qkv, o, y, keys, values.
 */
void operations::cachedSelfAttention(Engine& engine, Arguments& in) {
  NewRows rows{};
  rows.count = in.extent();
  const int64_t sequences = in.extent(), keyPanels = in.extent();
  rows.shape = {in.extent(), in.extent(), in.extent()};
  const int64_t rotary = in.integer(), hidden = in.extent(), queryWidth = rows.shape.queryWidth();
  const float eps = in.real();
  rows.sequences = in.read<int32_t>(rows.count);
  rows.positions = in.read<int32_t>(rows.count);
  const float* x = in.read(rows.count * hidden);
  const float* norm = in.read(hidden);
  Block* qkv = in.block<float>(rows.shape.width() * hidden);
  Block* o = in.block<float>(queryWidth * hidden);
  float* y = in.write(rows.count * hidden);
  requirePlaces(rows, sequences, keyPanels);
  const RotaryTable& table = tableFor(engine, rows.shape, rotary, rows.positions, rows.count);
  double contexts = 0;
  for (int64_t i = 0; i < rows.count; i++) contexts += rows.positions[i] + 1;
  const double weights = static_cast<double>(hidden) * (rows.shape.width() + queryWidth);
  engine.count(2.0 * rows.count * weights + 4.0 * contexts * queryWidth,
               (weights + 2.0 * contexts * rows.shape.kvHeads * rows.shape.headDim) *
                   (engine.products == Products::kBfloat16 ? 2 : 4));
  inPrecision(engine, [&](auto kind) {
    using T = decltype(kind);
    const Cache<T> cache = readCache<T>(in, rows.shape, sequences, keyPanels);
    for (int64_t first = 0; first < rows.count; first += kRowsAtOnce) {
      const NewRows part = rows.part(first, std::min(kRowsAtOnce, rows.count - first));
      const OperandRows<T> attended =
          attendNewRows<T>(engine, part, cache, table, qkv, hidden, [&](int64_t row, float* to) {
            const float* from = x + (first + row) * hidden;
            norm ? normalise(from, norm, eps, hidden, to) : void(std::copy_n(from, hidden, to));
          });
      streamRows<T>(engine, part.count, divideUp(hidden, kPanel), unitsOf<T>(queryWidth), attended.left(),
                    keptPanels<T>(engine, o, queryWidth, hidden),
                    StoreFloats(y + first * hidden, part.count, hidden, false));
      engine.scratch.reset();
    }
  });
}

}  // namespace mixtune
