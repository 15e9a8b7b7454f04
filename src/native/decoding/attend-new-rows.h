// Self-attention of new rows over a cache, up to the product with o: the part shared by the operation for a whole layer
// and the one for self-attention alone.
#pragma once

#include <string>

#include "decoding/cached-attention.h"
#include "layer/norm.h"
#include "products/streamed-product.h"

namespace mixtune {

/** Number of rows that pass through a layer together, so that their intermediate results stay in cache. */
constexpr int64_t kRowsAtOnce = 512;

inline void normalise(const float* x, const float* weight, float eps, int64_t count, float* to) {
  scaleRow(x, inverseRmsOf(x, count, eps), weight, count, to);
}

/** Throws unless every row has a place in a cache of this many sequences and panels of keys. */
inline void requirePlaces(const NewRows& rows, int64_t sequences, int64_t keyPanels) {
  for (int64_t i = 0; i < rows.count; i++)
    if (rows.sequences[i] < 0 || rows.sequences[i] >= sequences || rows.positions[i] < 0 ||
        rows.positions[i] >= keyPanels * kPanel)
      throw std::runtime_error("row " + std::to_string(i) + " is outside the cache");
}

/** Reads the next two arguments, the keys and values of a cache. */
template <class T>
Cache<T> readCache(Arguments& in, const HeadShape& shape, int64_t sequences, int64_t keyPanels) {
  Cache<T> cache{nullptr, nullptr, shape.kvHeads, shape.headDim, keyPanels};
  const int64_t heads = sequences * shape.kvHeads;
  cache.keys = in.write<typename T::Unit>(heads * keyPanels * cache.keyStride());
  cache.values = in.write<typename T::Unit>(heads * cache.valuePanels() * cache.valueStride());
  return cache;
}

/**
 * Writes the keys and values of all rows to the cache and returns the output of attention for the wanted rows, as an
 * operand [results, heads·headDim]. fill(row, to) writes the input of a row to the product with q, k and v, [hidden].
 */
template <class T, class Fill>
OperandRows<T> attendNewRows(Engine& engine, const NewRows& rows, const Cache<T>& cache, const RotaryTable& table,
                             Block* qkvWeight, int64_t hidden, const Fill& fill) {
  const int64_t width = rows.shape.width();
  float* qkv = engine.scratch.take<float>(rows.count * width);
  const auto input = operandRows<T>(engine, rows.count, hidden, fill);
  streamRows<T>(engine, rows.count, divideUp(width, kPanel), unitsOf<T>(hidden), input,
                keptPanels<T>(engine, qkvWeight, hidden, width), StoreFloats(qkv, rows.count, width, false));
  const OperandRows<T> attended = takeOperand<T>(engine, rows.results(), rows.shape.queryWidth());
  attendCached<T>(engine, rows, cache, table, qkv, attended);
  return attended;
}

}  // namespace mixtune
