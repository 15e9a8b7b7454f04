// Causal attention with rotary positions over packed sequences, between operands of products.
#pragma once

#include "products/gemm.h"
#include "layer/rotary.h"

namespace mixtune {

/** Arguments of both passes. Rows are tokens; `segments` are the row offsets of the sequences. */
struct AttentionLayout {
  int64_t rows;
  HeadShape shape;
  /** Number of the rotary embedding. */
  int64_t rotary;
  const int32_t* positions;
  const int32_t* segments;
  int64_t segmentCount;
};

/** Number of queries whose scores are held at once; with thousands of tokens these should still fit into the cache. */
template <class Unit>
constexpr int64_t kQueries = std::max<int64_t>(kTileRows<Unit>, 4 * kVectorRows) / kTileRows<Unit> * kTileRows<Unit>;

/** Throws unless segments ascend within the rows and the head sizes fit together. Returns the rotary table. */
const RotaryTable& checkLayout(Engine& engine, const AttentionLayout& at);

/**
 * qkv [rows, (heads + 2·kvHeads)·headDim] → out [rows, heads·headDim], and the log-sum-exp of each row of scores
 * [heads, rows].
 */
template <class T>
void attend(Engine& engine, const AttentionLayout& at, const OperandRows<T>& qkv, const OperandRows<T>& out,
            float* logSumExp);

/** Computes the gradient dQkv from that of out. Scores are computed again, a block of queries at a time. */
template <class T>
void attendBackward(Engine& engine, const AttentionLayout& at, const OperandRows<T>& dOut, const OperandRows<T>& qkv,
                    const OperandRows<T>& out, const float* logSumExp, const OperandRows<T>& dQkv);

/** Rows of a head are far apart, which defeats the processor's prefetcher; they are prefetched this many rows ahead. */
constexpr int64_t kRowsAhead = 12;

/** Reads terms [column, column + count) of a row as floats, and prefetches those of a later row. */
template <class T>
void readTerms(const OperandRows<T>& from, int64_t row, int64_t column, int64_t count, float* to) {
  const OperandRows<T> rows =
      from;  // a copy, so that its members stay in registers: the stores below might alias those of `from`
  for (int64_t k = 0; k < count; k += kPanel) rows.prefetch(row + kRowsAhead, column + k);
  forEachVec(count, [&](int64_t k, auto, auto store) {
    store(to + k, rows.load(row, column + k, std::min<int64_t>(kLanes, count - k)));
  });
}

/** The rows of a sequence, and the columns of the keys and values of one key-value head in them. */
template <class T>
struct KeyValueRows {
  const OperandRows<T>& qkv;
  int64_t begin, keyColumn, valueColumn, headDim;
  const int32_t* positions;
  const RotaryTable& table;

  KeyValueRows(const AttentionLayout& at, const RotaryTable& table, const OperandRows<T>& qkv, int64_t begin,
               int64_t kvHead)
      : qkv(qkv),
        begin(begin),
        keyColumn((at.shape.heads + kvHead) * at.shape.headDim),
        valueColumn(keyColumn + at.shape.kvHeads * at.shape.headDim),
        headDim(at.shape.headDim),
        positions(at.positions + begin),
        table(table) {}

  void plain(int64_t i, int64_t column, float* to) const { readTerms(qkv, begin + i, column, headDim, to); }

  /** Reads head `column / headDim` of token i as floats, rotated by the token's position. */
  void rotated(int64_t i, int64_t column, float* to) const {
    plain(i, column, to);
    rotate(to, table, positions[i], 1.0f, to);
  }
};

/** Stores rows of floats [count, headDim] as pairs of tokens, from `token`, which is even. */
template <class T>
void putTokens(const TokenPanels<T, kPanel>& panels, const float* rows, int64_t token, int64_t count, int64_t headDim) {
  for (int64_t r = 0; r < count; r += 2)
    for (int64_t i = 0; i < headDim; i += kLanes) {
      const int64_t left = headDim - i;
      const auto part = [&](int64_t row) {
        if (row >= count) return Vec{};
        return left >= kLanes ? load(rows + row * headDim + i) : loadPart(rows + row * headDim + i, left);
      };
      panels.put(token + r, i, part(r), part(r + 1));
    }
}

template <class T>
TokenPanels<T, kPanel> takeTokenPanels(Scratch& scratch, int64_t tokens, int64_t columns) {
  using Panels = TokenPanels<T, kPanel>;
  return {scratch.take<typename T::Unit>(Panels::sizeOf(tokens, columns)), Panels::strideOf(tokens)};
}

/** Rows of scores are padded to whole panels; scores beyond the causal limit are computed, too, and then cleared. */
inline int64_t padded(int64_t count) { return (count + kPanel - 1) / kPanel * kPanel; }

inline int64_t wholeVectors(int64_t count) { return (count + kLanes - 1) / kLanes * kLanes; }

}  // namespace mixtune
