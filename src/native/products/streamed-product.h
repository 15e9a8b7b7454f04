// Products of few rows with a weight, which are limited by how fast memory delivers its panels.
#pragma once

#include "products/gemm.h"

namespace mixtune {

/**
 * One panel against 1 to kTileRows rows: sums [rows][kPanel]. Meanwhile memory is asked for what lies from `ahead` on:
 * as many bytes as `tiles` ≤ 2 such tiles need to fetch a panel together.
 */
template <class Unit>
void streamTile(int64_t rows, int64_t tiles, int64_t units, const Left<Unit>& left, const Unit* panel,
                const Unit* ahead, float* sums);

/** Floats that vector registers multiply even where products of many rows are faster in tile registers. */
struct VectorFloat : Float {};

/** How rows of a kind are multiplied where few of them must give the same bits as many. */
template <class T>
using AnyRows = std::conditional_t<std::is_same_v<T, Float>, VectorFloat, T>;

/**
 * left [rows, units] · right, as multiplyRows, with the same bits for a row however many there are. Few rows stay in
 * cache while each panel is read once from memory, long stretches of them by each thread.
 */
template <class T, class Epilogue>
void streamRows(Engine& engine, int64_t rows, int64_t panels, int64_t units, Left<typename T::Unit> left,
                const typename T::Unit* right, const Epilogue& epilogue) {
  using Unit = typename T::Unit;
  if (rows > 2 * kTileRows<Unit>) return multiplyRows<AnyRows<T>>(engine, rows, panels, units, left, right, epilogue);
  constexpr int64_t kLeastUnits =
      (32 << 10) / sizeof(Unit);  // of panels at once: no load passes the claim of the next ones
  constexpr int64_t kLeastPanels = 4;
  constexpr int64_t kAhead = 8192 / static_cast<int64_t>(sizeof(Unit));  // measured: enough to hide the way to memory
  const int64_t stride = panelStride(units), tiles = divideUp(rows, kTileRows<Unit>), height = divideUp(rows, tiles);
  engine.team.stretches(
      panels, std::max(kLeastPanels, divideUp(kLeastUnits, stride)), [&](int64_t begin, int64_t end, int) {
        alignas(64) float sums[kTileRows<Unit> * kPanel];
        for (int64_t panel = begin; panel < end; panel++)
          for (int64_t row = 0; row < rows; row += height) {
            const int64_t count = std::min(height, rows - row);
            const Left<Unit> part = left.from(row);
            const Unit* from = right + panel * stride;
            // Two tiles fetch half of the next panel each, so that memory is never idle.
            const Unit* ahead = from + (tiles == 1 ? kAhead : stride + (row > 0 ? units / 2 * kPanel : 0));
            streamTile<Unit>(count, tiles, units, part, from, ahead, sums);
            epilogue(row, count, panel, sums);
          }
      });
}

/**
 * An operand in scratch, each row from floats that fill(row, buffer) writes. Few rows are made where they are asked
 * for: a dispatch would cost more.
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
