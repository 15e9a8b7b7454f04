// Self-attention of new rows over a cache, up to the product with o: what a whole layer and the operation by itself
// share.
#pragma once

#include <string>

#include "decoding/cached-attention.h"
#include "layer/norm.h"
#include "products/streamed-product.h"

namespace mixtune {

/** Rows that pass through a layer together, so that what they produce stays in cache. */
constexpr int64_t kRowsAtOnce = 512;

inline void normalise(const float* x, const float* weight, float eps, int64_t count, float* to) {
  scaleRow(x, inverseRmsOf(x, count, eps), weight, count, to);
}

/** Throws unless every row has a place in a cache of so many sequences and panels of keys. */
inline void requirePlaces(const NewRows& rows, int64_t sequences, int64_t keyPanels) {
  for (int64_t i = 0; i < rows.count; i++)
    if (rows.sequences[i] < 0 || rows.sequences[i] >= sequences || rows.positions[i] < 0 ||
        rows.positions[i] >= keyPanels * kPanel)
      throw std::runtime_error("row " + std::to_string(i) + " is outside the cache");
}

/** The cache whose keys and values are the next arguments. */
template <class T>
Cache<T> readCache(Arguments& in, const HeadShape& shape, int64_t sequences, int64_t keyPanels) {
  Cache<T> cache{nullptr, nullptr, shape.kvHeads, shape.headDim, keyPanels};
  const int64_t heads = sequences * shape.kvHeads;
  cache.keys = in.write<typename T::Unit>(heads * keyPanels * cache.keyStride());
  cache.values = in.write<typename T::Unit>(heads * cache.valuePanels() * cache.valueStride());
  return cache;
}

/**
 * fill(row, to) writes a row [hidden] as it enters the product with q, k and v; all enter the cache. Returns what
 * attention gives for the wanted ones, an operand [results, heads·headDim].
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
