// Epilogues: what happens to a finished tile of sums of a product.
#pragma once

#include "products/operand.h"

namespace mixtune {

/** An epilogue may prefetch what it will access for a tile. Most access too little for that. */
struct NoPrefetch {
  void prefetch(int64_t, int64_t, int64_t) const {}
};

/** Adds offsets to the rows and panels of an epilogue. */
template <class Epilogue>
struct OffsetEpilogue {
  Epilogue epilogue;
  int64_t row, panel;

  void prefetch(int64_t r, int64_t count, int64_t p) const { epilogue.prefetch(row + r, count, panel + p); }
  void operator()(int64_t r, int64_t count, int64_t p, const float* sums) const {
    epilogue(row + r, count, panel + p, sums);
  }
};

/** Epilogue: writes the sums to out [rows, columns] as floats, or adds them. */
struct StoreFloats : NoPrefetch {
  float* out;
  int64_t columns;
  bool accumulate, streamed;

  StoreFloats(float* out, int64_t rows, int64_t columns, bool accumulate)
      : out(out),
        columns(columns),
        accumulate(accumulate),
        streamed(!accumulate && columns % kPanel == 0 && leavesCaches(rows * columns * 4)) {}

  void operator()(int64_t row, int64_t count, int64_t panel, const float* sums) const {
    const int64_t column = panel * kPanel, width = std::min<int64_t>(kPanel, columns - column);
    for (int64_t r = 0; r < count; r++, sums += kPanel) {
      float* to = out + (row + r) * columns + column;
      if (width < kPanel) {
        for (int64_t i = 0; i < width; i++) to[i] = accumulate ? to[i] + sums[i] : sums[i];
        continue;
      }
      for (int64_t i = 0; i < kPanel; i += kLanes)
        storeLine(to + i, (VecBits)(accumulate ? load(to + i) + load(sums + i) : load(sums + i)), streamed);
    }
  }
};

/** Epilogue: stores the sums as an operand of the next product. */
template <class T>
struct StoreOperand : NoPrefetch {
  OperandRows<T> out;

  explicit StoreOperand(const OperandRows<T>& out) : out(out) {}

  void operator()(int64_t row, int64_t count, int64_t panel, const float* sums) const {
    for (int64_t r = row; r < row + count; r++, sums += kPanel)
      out.storePiece(r, panel * kPanel, load(sums), load(sums + kLanes));
  }
};

}  // namespace mixtune
