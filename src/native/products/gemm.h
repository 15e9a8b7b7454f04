// Matrix products on all threads of the team.
#pragma once

#include "products/amx-floats.h"
#include "engine/engine.h"
#include "products/epilogue.h"

namespace mixtune {

/** Calls run(kind) with the kind of the engine's products: Float, RoundedFloat or Bfloat16. */
template <class Run>
void inPrecision(const Engine& engine, const Run& run) {
  switch (engine.products) {
    case Products::kFloat:
      return run(Float{});
    case Products::kRoundedFloat:
      return run(RoundedFloat{});
    case Products::kBfloat16:
#if defined(__AVX512BF16__)
      return run(Bfloat16{});
#else
      throw std::runtime_error("this processor has no products in bfloat16");
#endif
  }
}

/** Bounds on the size of a task of a product by rows. */
struct TaskBounds {
  /** Maximum number of units of the left operand, which should stay in the second-level cache. */
  int64_t leftUnits;
  /** Minimum number of tiles of rows for which loading a panel into that cache pays off. */
  int64_t leastTiles;
  /** Number of multiply-adds, in units, below which a task is not worth its dispatch. */
  int64_t leastWork;
  int64_t tasksPerThread;
};

template <class T>
constexpr TaskBounds kTaskBounds = {96 << 10, 4, 1 << 18, 8};
/** Maximum number of rows of a tile. */
template <class T>
constexpr int64_t kProductRows = kTileRows<typename T::Unit>;
#if MIXTUNE_AMX
template <>
constexpr TaskBounds kTaskBounds<Bfloat16> = {256 << 10, 16, 1 << 21, 4};
template <>
constexpr TaskBounds kTaskBounds<Float> = {176 << 10, 8, 1 << 20, 4};
template <>
constexpr int64_t kProductRows<Float> = 2 * kAmxRows;
#endif

/** Number of units of the inner dimension that are summed in one pass. */
template <class T>
int64_t unitsOfPass(int64_t units) {
#if MIXTUNE_AMX
  if constexpr (std::is_same_v<T, Float>) return termsOfPass(units);
#endif
  return units;
}

/** How a product by rows is split into tasks, which does not affect the result. */
struct RowSplit {
  /** Rows and panels of a task. */
  int64_t rows, panels;

  /**
   * Height of tiles if there are as few as possible: nearly equal, and even, so that a tile contains pairs of tokens.
   */
  static int64_t evenHeight(int64_t rows, int64_t most) {
    const int64_t height = divideUp(rows, divideUp(rows, most));
    return height + height % 2;
  }

  template <class T>
  static RowSplit of(const Team& team, int64_t rowCount, int64_t panelCount, int64_t units) {
    constexpr TaskBounds bounds = kTaskBounds<T>;
    const int64_t tiles = divideUp(rowCount, kProductRows<T>), height = evenHeight(rowCount, kProductRows<T>);
    const int64_t wanted = team.size() == 1 ? 1 : bounds.tasksPerThread * team.size();
    const int64_t most = std::max<int64_t>(1, bounds.leftUnits / (unitsOfPass<T>(units) * height));
    const int64_t tilesOfTask = std::clamp<int64_t>(divideUp(tiles, wanted), std::min(bounds.leastTiles, most), most);
    const int64_t rows = tilesOfTask * height;
    const int64_t rowTasks = divideUp(rowCount, rows);
    const int64_t work = std::min(rows, rowCount) * panelCount * kPanel * units;
    const int64_t groups = std::min({panelCount, divideUp(wanted, rowTasks), work / bounds.leastWork});
    return {rows, divideUp(panelCount, std::max<int64_t>(groups, 1))};
  }
};

/**
 * Computes rows [0, rows) of left [rows, units] · right, a tile at a time on the calling thread. `right` is the first
 * of `panels` panels, `stride` units apart. epilogue(row, count, panel, sums) gets the sums of `count` rows from `row`
 * with the columns of one panel, [count][kPanel]. It is passed by value so that its members can stay in registers: its
 * stores might alias those of the original.
 */
template <class T, class Epilogue>
void multiplyTiles(int64_t rows, int64_t panels, int64_t units, Left<typename T::Unit> left,
                   const typename T::Unit* right, int64_t stride, Scratch& scratch, const Epilogue epilogue) {
  using Unit = typename T::Unit;
  const int64_t height = RowSplit::evenHeight(rows, kTileRows<Unit>);
#if MIXTUNE_AMX
  if constexpr (std::is_same_v<T, Float>)
    if (amxIsAllowed()) return multiplyFloatTiles(rows, panels, units, left, right, stride, scratch, epilogue);
  if constexpr (std::is_same_v<T, Bfloat16>)
    return multiplyTilesAmx(
        rows, panels, height,
        PairProduct(rows, units, left, height, [&](int64_t panel) { return amxPanel(right + panel * stride); }),
        epilogue);
#endif
  (void)scratch;
  alignas(64) float sums[kTileRows<Unit> * kPanel];
  for (int64_t panel = 0; panel < panels; panel++)
    for (int64_t row = 0; row < rows; row += height) {
      const int64_t count = std::min(height, rows - row);
      epilogue.prefetch(row, count, panel);
      multiplyTile<Unit, false>(count, units, left.from(row), right + panel * stride, sums, kPanel, kPanel, false);
      epilogue(row, count, panel, sums);
    }
}

/**
 * Multiplies all rows with all panels, on all threads. The split does not change any bits: the order of sums over the
 * inner dimension only depends on its length.
 */
template <class T, class Epilogue>
void multiplyRows(Engine& engine, int64_t rows, int64_t panels, int64_t units, Left<typename T::Unit> left,
                  const typename T::Unit* right, const Epilogue& epilogue) {
  if (rows == 0 || panels == 0) return;
  const auto split = RowSplit::of<T>(engine.team, rows, panels, units);
  const int64_t groups = divideUp(panels, split.panels);
  engine.team.parallel(divideUp(rows, split.rows) * groups, [&](int64_t task, int thread) {
    Scratch& scratch = engine.scratchOf(thread);
    scratch.reset();
    const int64_t row = task / groups * split.rows, panel = task % groups * split.panels;
    multiplyTiles<T>(std::min(split.rows, rows - row), std::min(split.panels, panels - panel), units, left.from(row),
                     right + panel * panelStride(units), panelStride(units), scratch,
                     OffsetEpilogue<Epilogue>{epilogue, row, panel});
  });
}

/** Reads an argument: an operand to be written; without data if the argument is 0. */
template <class T>
OperandRows<T> writtenOperand(Arguments& in, int64_t rows, int64_t columns) {
  return {in.write<typename T::Unit>(OperandRows<T>::sizeOf(rows, columns)), rows, columns};
}

/** Reads an argument: an operand that an earlier call has written; without data if the argument is 0. */
template <class T>
OperandRows<T> savedOperand(Arguments& in, int64_t rows, int64_t columns) {
  return {const_cast<typename T::Unit*>(in.read<typename T::Unit>(OperandRows<T>::sizeOf(rows, columns))), rows,
          columns};
}

/** Allocates an operand in scratch. */
template <class T>
OperandRows<T> takeOperand(Engine& engine, int64_t rows, int64_t columns) {
  return {engine.scratch.take<typename T::Unit>(OperandRows<T>::sizeOf(rows, columns)), rows, columns};
}

/** Converts rows of floats to an operand. */
template <class T>
void convertRows(Engine& engine, const float* data, int64_t rows, int64_t columns, const OperandRows<T>& out) {
  engine.team.ranges(rows, 32768 / (columns + 1) + 1, [&](int64_t begin, int64_t end, int) {
    for (int64_t row = begin; row < end; row++) out.storeRow(row, 0, data + row * columns, columns);
  });
}

/** Rows of floats as a left operand: the data itself if units are plain floats, else a copy in scratch. */
template <class T>
Left<typename T::Unit> leftRows(Engine& engine, const float* data, int64_t rows, int64_t columns) {
  if constexpr (std::is_same_v<T, Float>) {
    return {data, columns};
  } else {
    const OperandRows<T> converted = takeOperand<T>(engine, rows, columns);
    convertRows<T>(engine, data, rows, columns, converted);
    return converted.left();
  }
}

/** Allocates token panels in scratch, for the epilogue of a product to fill. */
template <class T>
TokenPanels<T> emptyTokenPanels(Engine& engine, int64_t tokens, int64_t columns) {
  const int64_t size = TokenPanels<T>::sizeOf(tokens, columns);
  return {engine.scratch.take<typename T::Unit>(size), TokenPanels<T>::strideOf(tokens), leavesCaches(size * 4)};
}

/** Converts an operand [tokens, columns] to token panels in scratch. */
template <class T>
TokenPanels<T> tokenPanels(Engine& engine, const OperandRows<T>& rows, int64_t tokens, int64_t columns) {
  const TokenPanels<T> panels = emptyTokenPanels<T>(engine, tokens, columns);
  constexpr int64_t kColumns = 8 * kLanes;  // so that only a few streams are written at once
  engine.team.ranges(columns, kColumns, [&](int64_t begin, int64_t end, int) {
    const OperandRows<T> from = rows;  // copies, so that their members stay in registers, as for epilogues
    const TokenPanels<T> to = panels;
    for (int64_t token = 0; token < tokens; token += 2) {
      int64_t column = begin;
#if defined(__AVX512BF16__)
      if constexpr (T::kTerms == 2)
        for (; column + kPanel <= end; column += kPanel) {
          VecBits first, second;
          from.pairs(token, token + 1 < tokens, column, first, second);
          to.putUnits(token, column, first);
          to.putUnits(token, column + kLanes, second);
        }
#endif
      for (; column < end; column += kLanes) {
        const int64_t count = std::min<int64_t>(kLanes, end - column);
        to.put(token, column, from.load(token, column, count),
               token + 1 < tokens ? from.load(token + 1, column, count) : Vec{});
      }
    }
  });
  return panels;
}

/**
 * Converts rows of floats [tokens, columns] to token panels in scratch, multiplying row i by scale[i] and, if given,
 * column j by weight[j].
 */
template <class T>
TokenPanels<T> scaledTokenPanels(Engine& engine, const float* rows, const float* scale, const float* weight,
                                 int64_t tokens, int64_t columns) {
  constexpr int64_t kRowsAhead = 16;  // rows are too far apart for the processor's prefetcher
  const TokenPanels<T> panels = emptyTokenPanels<T>(engine, tokens, columns);
  engine.team.ranges(columns, 8 * kLanes, [&](int64_t begin, int64_t end, int) {
    for (int64_t token = 0; token < tokens; token += 2)
      for (int64_t column = begin; column < end; column += kLanes) {
        const int64_t count = std::min<int64_t>(kLanes, end - column);
        const auto part = [&](const float* from) { return count == kLanes ? load(from) : loadPart(from, count); };
        const auto row = [&](int64_t i) {
          __builtin_prefetch(rows + (i + kRowsAhead) * columns + column);
          const Vec scaled = part(rows + i * columns + column) * scale[i];
          return weight ? scaled * part(weight + column) : scaled;
        };
        panels.put(token, column, row(token), token + 1 < tokens ? row(token + 1) : Vec{});
      }
  });
  return panels;
}

/** out [rows, columns] (+)= leftᵀ · right, both token panels [tokens, rows] and [tokens, columns]. */
template <class T>
void multiplyTokens(Engine& engine, int64_t rows, int64_t columns, int64_t tokens, TokenPanels<T> left,
                    TokenPanels<T> right, float* out, bool accumulate);

/** The order in which the rows of a weight become columns or terms of the inner dimension. */
enum class Order {
  kAsTheyAre,
  /** kLanes rows of the first half of the weight, then the same rows of the second half, and so on: gate and up. */
  kPairedHalves,
};

/** Number of columns, or of terms of the inner dimension, that `count` rows of a weight become in an order. */
inline int64_t countIn(Order order, int64_t count) {
  return order == Order::kAsTheyAre ? count : divideUp(count / 2, kLanes) * kPanel;
}

/**
 * Panels of `weight` [columns, depth] for left · weightᵀ. They are kept, and packed again if the block was written to.
 */
template <class T>
const typename T::Unit* keptPanels(Engine& engine, Block* weight, int64_t depth, int64_t columns,
                                   Order columnOrder = Order::kAsTheyAre);

/** Panels of `weight` [columns, depth] for left · weightᵀ, in scratch, for the duration of this operation. */
template <class T>
const typename T::Unit* packedPanels(Engine& engine, const float* weight, int64_t depth, int64_t columns,
                                     Order columnOrder = Order::kAsTheyAre);

/**
 * Kept panels from the second use of a weight's contents; null for the first, which may be the only use before they
 * change, as in a training step with one batch.
 */
template <class T>
const typename T::Unit* panelsFromSecondUse(Engine& engine, Block* weight, int64_t depth, int64_t columns,
                                            Order columnOrder = Order::kAsTheyAre);

/** The panels of panelsFromSecondUse or, for the first use, panels in scratch. */
template <class T>
const typename T::Unit* weightPanels(Engine& engine, Block* weight, int64_t depth, int64_t columns,
                                     Order columnOrder = Order::kAsTheyAre);

/**
 * Panels of `weight` [depth, columns] for left · weight, in scratch: every update would invalidate a kept copy, so it
 * would only waste memory.
 */
template <class T>
const typename T::Unit* weightPanelsAcross(Engine& engine, const float* weight, int64_t depth, int64_t columns,
                                           Order depthOrder = Order::kAsTheyAre);

}  // namespace mixtune
