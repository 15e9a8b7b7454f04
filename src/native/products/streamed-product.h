// Products of few rows with a weight, which are bound by the memory bandwidth for its panels.
#pragma once

#include "products/gemm.h"

namespace mixtune {

/**
 * Multiplies 1 to kTileRows rows with one panel → sums [rows][kPanel]. Meanwhile prefetches from `ahead`: so much that
 * `tiles` ≤ 2 such tiles together prefetch a panel.
 */
template <class Unit>
void streamTile(int64_t rows, int64_t tiles, int64_t units, const Left<Unit>& left, const Unit* panel,
                const Unit* ahead, float* sums);

/** Floats that are multiplied in vector registers, even if tile registers are faster for many rows. */
struct VectorFloat : Float {};

/** The kind with which few rows give the same bits as many. */
template <class T>
using AnyRows = std::conditional_t<std::is_same_v<T, Float>, VectorFloat, T>;

/**
 * Computes left [rows, units] · right like multiplyRows, but the bits of a row do not depend on the number of rows. Few
 * rows stay in cache while each panel is read from memory once, in long stretches by each thread.
 */
template <class T, class Epilogue>
void streamRows(Engine& engine, int64_t rows, int64_t panels, int64_t units, Left<typename T::Unit> left,
                const typename T::Unit* right, const Epilogue& epilogue) {
  using Unit = typename T::Unit;
  if (rows > 2 * kTileRows<Unit>) return multiplyRows<AnyRows<T>>(engine, rows, panels, units, left, right, epilogue);
  constexpr int64_t kLeastUnits =
      (32 << 10) / sizeof(Unit);  // of panels at a time, because no load is hoisted above the claim of the next ones
  constexpr int64_t kLeastPanels = 4;
  constexpr int64_t kAhead = 8192 / static_cast<int64_t>(sizeof(Unit));  // measured: hides the latency of memory
  const int64_t stride = panelStride(units), tiles = divideUp(rows, kTileRows<Unit>), height = divideUp(rows, tiles);
  engine.team.stretches(
      panels, std::max(kLeastPanels, divideUp(kLeastUnits, stride)), [&](int64_t begin, int64_t end, int) {
        alignas(64) float sums[kTileRows<Unit> * kPanel];
        for (int64_t panel = begin; panel < end; panel++)
          for (int64_t row = 0; row < rows; row += height) {
            const int64_t count = std::min(height, rows - row);
            const Left<Unit> part = left.from(row);
            const Unit* from = right + panel * stride;
            // Two tiles prefetch half of the next panel each, so that memory is never idle.
            const Unit* ahead = from + (tiles == 1 ? kAhead : stride + (row > 0 ? units / 2 * kPanel : 0));
            streamTile<Unit>(count, tiles, units, part, from, ahead, sums);
            epilogue(row, count, panel, sums);
          }
      });
}

/**
 * An operand in scratch, each row converted from floats that fill(row, buffer) writes. A few rows are converted on the
 * calling thread, because a dispatch would cost more.
 */
template <class T, class Fill>
Left<typename T::Unit> operandRows(Engine& engine, int64_t rows, int64_t depth, const Fill& fill) {
  const OperandRows<T> packed = takeOperand<T>(engine, rows, depth);
  engine.team.ranges(rows, 4096 / depth + 1, [&](int64_t begin, int64_t end, int thread) {
    Scratch& scratch = engine.scratchOf(thread);
    scratch.reset();
    float* buffer = scratch.take<float>(depth);
    for (int64_t row = begin; row < end; row++) {
      fill(row, buffer);
      packed.storeRow(row, 0, buffer, depth);
    }
  });
  return packed.left();
}

}  // namespace mixtune
