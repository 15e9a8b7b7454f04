#include "products/gemm.h"

namespace mixtune {

namespace {

/**
 * Maximum number of units that are summed in registers before they are added to the result, so that the panels of a
 * task stay in cache.
 */
constexpr int64_t kTokenUnits = 1024;

/** Number of units per pass, for as few passes as possible. */
int64_t tokenUnitsOfPass(int64_t units) { return divideUp(units, std::max<int64_t>(1, divideUp(units, kTokenUnits))); }

/** Number of left panels of a task, which stay in the second-level cache while the right panels are streamed. */
constexpr int64_t kLeftPanels = 4;

/** Rows of a register tile over tokens, which are columns of one left panel, and its columns in vectors. */
#if defined(__AVX512F__)
constexpr int kTokenRows = 8;
#else
constexpr int kTokenRows = 4;
#endif
constexpr int kTokenVecs = 3;
static_assert(kLanes % kTokenRows == 0, "a tile must not extend into the next left panel");

template <class Unit>
using TokenTile = void (*)(int64_t units, const Unit* left, const Unit* right, int64_t rightStride, float* sums);

/** Multiplies kTokenRows columns of a left panel with Vecs right panels → sums [kTokenRows][Vecs · kLanes]. */
template <class Unit, int Vecs>
void tokenTile(int64_t units, const Unit* left, const Unit* right, int64_t rightStride, float* sums) {
  Vec sum[kTokenRows][Vecs];
  for (int r = 0; r < kTokenRows; r++)
    for (int v = 0; v < Vecs; v++) sum[r][v] = Vec{};
  for (int64_t k = 0; k < units; k++) {
    __builtin_prefetch(left + 32 * kLanes);
    decltype(panelUnits(right)) b[Vecs];
#pragma GCC unroll 3
    for (int v = 0; v < Vecs; v++) b[v] = panelUnits(right + v * rightStride);
#pragma GCC unroll 8
    for (int r = 0; r < kTokenRows; r++) {
      const auto a = broadcastUnit(left[r]);
#pragma GCC unroll 3
      for (int v = 0; v < Vecs; v++) multiplyAdd(sum[r][v], a, b[v]);
    }
    left += kLanes;
    right += kLanes;
  }
  for (int r = 0; r < kTokenRows; r++)
    for (int v = 0; v < Vecs; v++) store(sums + (r * Vecs + v) * kLanes, sum[r][v]);
}

template <class Unit>
TokenTile<Unit> tokenTileOf(int64_t vecs) {
  static constexpr TokenTile<Unit> tiles[] = {tokenTile<Unit, 1>, tokenTile<Unit, 2>, tokenTile<Unit, 3>};
  return tiles[vecs - 1];
}

/** Writes or adds `rows` rows of `columns` sums, which are `stride` apart. */
void storeSums(const float* sums, int64_t stride, int64_t rows, int64_t columns, float* out, int64_t outStride,
               bool accumulate) {
  for (int64_t r = 0; r < rows; r++, sums += stride, out += outStride) {
    int64_t i = 0;
    for (; i + kLanes <= columns; i += kLanes)
      store(out + i, accumulate ? load(out + i) + load(sums + i) : load(sums + i));
    for (; i < columns; i++) out[i] = accumulate ? out[i] + sums[i] : sums[i];
  }
}

#if MIXTUNE_AMX
/** Maximum number of rows of a task: their transposed tokens take half of the second-level cache. */
constexpr int64_t kAmxTaskRows = 256;

/** Columns [column, column + count) of token panels and units [k, k + units), as rows of units. */
Left<uint32_t> transposedRows(const TokenPanels<Bfloat16>& panels, int64_t column, int64_t count, int64_t k,
                              int64_t units, Scratch& scratch) {
  const int64_t stride = divideUp(units, kAmxUnits) * kAmxUnits + kAmxUnits;
  uint32_t* rows = scratch.take<uint32_t>(divideUp(count, kAmxRows) * kAmxRows * stride);
  for (int64_t row = 0; row < count; row += kAmxRows)
    for (int64_t i = 0; i < units; i += kAmxUnits)
      amxTranspose(panels.data + (column + row) / kLanes * panels.stride + (k + i) * kLanes, kLanes,
                   std::min(kAmxUnits, units - i), rows + row * stride + i, stride);
  return {rows, stride};
}

/**
 * Two neighbouring token panels from unit k; if their number is odd, the last panel is also used as the missing one.
 */
template <class Unit>
struct PanelPair {
  const Unit* first;
  const Unit* second;

  template <class T>
  PanelPair(const TokenPanels<T>& panels, int64_t pair, int64_t k, int64_t columns)
      : first(panels.data + 2 * pair * panels.stride + k * kLanes),
        second(pair * kPanel + kLanes < columns ? first + panels.stride : first) {}
};

/** A block of rows of a product over tokens, for units [k, k + units), in pairs of bfloat16. */
template <class Epilogue>
void multiplyTokenBlock(const TokenPanels<Bfloat16>& left, const TokenPanels<Bfloat16>& right, int64_t row,
                        int64_t count, int64_t columns, int64_t k, int64_t units, Scratch& scratch,
                        const Epilogue& epilogue) {
  const Left<uint32_t> block = transposedRows(left, row, count, k, units, scratch);
  const auto panelOf = [&](int64_t panel) {
    const PanelPair<uint32_t> pair(right, panel, k, columns);
    return AmxOperand{pair.first, pair.second, kLanes, kAmxUnits * kLanes};
  };
  multiplyTilesAmx(count, divideUp(columns, kPanel), 2 * kAmxRows,
                   PairProduct(count, units, block, 2 * kAmxRows, panelOf), epilogue);
}

/** A block of rows of a product over tokens, for units [k, k + units), in floats. */
template <class Epilogue>
void multiplyTokenBlock(const TokenPanels<Float>& left, const TokenPanels<Float>& right, int64_t row, int64_t count,
                        int64_t columns, int64_t k, int64_t units, Scratch& scratch, const Epilogue& epilogue) {
  uint32_t* split = scratch.take<uint32_t>(divideUp(count, 2 * kAmxRows) * splitSteps(units) * kSplitStep);
  splitColumns(left, row, count, k, units, split);
  const auto panelOf = [&](int64_t panel) {
    const PanelPair<float> pair(right, panel, k, columns);
    return FloatPanel{pair.first, pair.second, kLanes};
  };
  multiplyTilesAmx(count, divideUp(columns, kPanel), 2 * kAmxRows, FloatProduct(count, units, split, panelOf, scratch),
                   epilogue);
}

/** multiplyTokens in tile registers, which need the left operand by rows. */
template <class T>
void multiplyTokensAmx(Engine& engine, int64_t rows, int64_t columns, int64_t tokens, TokenPanels<T> left,
                       TokenPanels<T> right, float* out, bool accumulate) {
  const int64_t units = unitsOf<T>(tokens);
  const int64_t depth = std::is_same_v<T, Float> ? termsOfPass(units) : tokenUnitsOfPass(units);
  const int64_t threads = engine.team.size(), least = divideUp(rows, kAmxTaskRows);
  const int64_t blocks = divideUp(least, 2 * threads) * 2 * threads;
  const int64_t height = divideUp(divideUp(rows, blocks), 2 * kAmxRows) * 2 * kAmxRows;
  engine.team.parallel(divideUp(rows, height), [&](int64_t task, int thread) {
    Scratch& scratch = engine.scratchOf(thread);
    const int64_t row = task * height, count = std::min(height, rows - row);
    for (int64_t k = 0; k < units || k == 0; k += depth) {
      scratch.reset();
      const StoreFloats store(out, rows, columns, accumulate || k > 0);
      multiplyTokenBlock(left, right, row, count, columns, k, std::min(depth, units - k), scratch,
                         OffsetEpilogue<StoreFloats>{store, row, 0});
    }
  });
}
#endif

template <class T>
void pack(Engine& engine, const float* weight, int64_t depth, int64_t columns, Order order, typename T::Unit* panels) {
  const int64_t stride = panelStride(unitsOf<T>(depth));
  const bool halves = order == Order::kPairedHalves;
  const int64_t outer = halves ? columns / 2 : columns, width = halves ? kLanes : kPanel;
  const int64_t grain = std::max<int64_t>(1, 16384 / (kPanel * std::max<int64_t>(depth, 1)));
  engine.team.ranges(divideUp(outer, width), grain, [&](int64_t begin, int64_t end, int) {
    for (int64_t panel = begin; panel < end; panel++) {
      const int64_t column = panel * width;
      const float* first = weight + column * depth;
      const float* second = first + (halves ? outer : kLanes) * depth;
      const int64_t firsts = std::min<int64_t>(kLanes, outer - column);
      const int64_t rest = halves ? firsts : std::clamp<int64_t>(outer - column - kLanes, 0, kLanes);
      packTransposed<T>(first, firsts, second, rest, depth, depth, panels + panel * stride);
    }
  });
}

}  // namespace

template <class T>
void multiplyTokens(Engine& engine, int64_t rows, int64_t columns, int64_t tokens, TokenPanels<T> left,
                    TokenPanels<T> right, float* out, bool accumulate) {
#if MIXTUNE_AMX
  if constexpr (std::is_same_v<T, Bfloat16> || std::is_same_v<T, Float>)
    if (amxIsAllowed()) return multiplyTokensAmx(engine, rows, columns, tokens, left, right, out, accumulate);
#endif
  using Unit = typename T::Unit;
  const int64_t units = unitsOf<T>(tokens);
  const int64_t depth = tokenUnitsOfPass(units);
  const int64_t leftTasks = divideUp(rows, kLeftPanels * kLanes), panels = divideUp(columns, kLanes);
  const int64_t tiles = divideUp(panels, kTokenVecs);
  const int64_t wanted = engine.team.size() == 1 ? 1 : 8 * engine.team.size();
  const int64_t groups = std::max<int64_t>(1, std::min(tiles, divideUp(wanted, std::max<int64_t>(leftTasks, 1))));
  engine.team.parallel(leftTasks * groups, [&](int64_t task, int) {
    alignas(64) float sums[kTokenRows * kTokenVecs * kLanes];
    const int64_t firstRow = task / groups * kLeftPanels * kLanes,
                  lastRow = std::min(rows, firstRow + kLeftPanels * kLanes);
    const int64_t firstTile = task % groups * tiles / groups, lastTile = (task % groups + 1) * tiles / groups;
    for (int64_t k = 0; k < units || k == 0; k += depth) {
      const int64_t count = std::min(depth, units - k);
      for (int64_t tile = firstTile; tile < lastTile; tile++) {
        // Tiles of nearly equal width, because a tile of a single panel would be limited by its loads.
        const int64_t panel = tile * panels / tiles, vecs = (tile + 1) * panels / tiles - panel;
        const int64_t column = panel * kLanes, width = std::min(vecs * kLanes, columns - column);
        const Unit* b = right.data + panel * right.stride + k * kLanes;
        for (int64_t row = firstRow; row < lastRow; row += kTokenRows) {
          const Unit* a = left.data + row / kLanes * left.stride + k * kLanes + row % kLanes;
          for (int64_t r = 0; r < kTokenRows; r++)
            for (int64_t i = 0; i < width; i += 16) __builtin_prefetch(out + (row + r) * columns + column + i, 1);
          tokenTileOf<Unit>(vecs)(count, a, b, right.stride, sums);
          storeSums(sums, vecs * kLanes, std::min<int64_t>(kTokenRows, lastRow - row), width,
                    out + row * columns + column, columns, accumulate || k > 0);
        }
      }
    }
  });
}

template <class T>
const typename T::Unit* keptPanels(Engine& engine, Block* weight, int64_t depth, int64_t columns, Order order) {
  PackedCopy& copy = weight->packed;
  if (copy.version != weight->version || copy.rows != depth || copy.columns != columns) {
    const int64_t size = panelsSize(unitsOf<T>(depth), countIn(order, columns));
    const size_t bytes = static_cast<size_t>(size) * sizeof(typename T::Unit);
    if (copy.bytes != bytes) {
      copy.memory = allocateShared(bytes);
      engine.packedBytes += static_cast<int64_t>(bytes) - static_cast<int64_t>(copy.bytes);
      copy.bytes = bytes;
    }
    pack<T>(engine, weight->data(), depth, columns, order, reinterpret_cast<typename T::Unit*>(copy.memory.get()));
    copy.version = weight->version;
    copy.rows = depth;
    copy.columns = columns;
  }
  return reinterpret_cast<const typename T::Unit*>(copy.memory.get());
}

template <class T>
const typename T::Unit* packedPanels(Engine& engine, const float* weight, int64_t depth, int64_t columns, Order order) {
  auto* panels = engine.scratch.take<typename T::Unit>(panelsSize(unitsOf<T>(depth), countIn(order, columns)));
  pack<T>(engine, weight, depth, columns, order, panels);
  return panels;
}

template <class T>
const typename T::Unit* panelsFromSecondUse(Engine& engine, Block* weight, int64_t depth, int64_t columns,
                                            Order order) {
  PackedCopy& copy = weight->packed;
  if (copy.version == weight->version || copy.asked == weight->version)
    return keptPanels<T>(engine, weight, depth, columns, order);
  copy.asked = weight->version;
  return nullptr;
}

template <class T>
const typename T::Unit* weightPanels(Engine& engine, Block* weight, int64_t depth, int64_t columns, Order order) {
  const auto* kept = panelsFromSecondUse<T>(engine, weight, depth, columns, order);
  return kept ? kept : packedPanels<T>(engine, weight->data(), depth, columns, order);
}

template <class T>
const typename T::Unit* weightPanelsAcross(Engine& engine, const float* weight, int64_t depth, int64_t columns,
                                           Order order) {
  const int64_t stride = panelStride(unitsOf<T>(countIn(order, depth)));
  auto* panels = engine.scratch.take<typename T::Unit>(panelsSize(unitsOf<T>(countIn(order, depth)), columns));
  // A run of rows at a time; each row is read over its whole length, into all panels.
  const auto packRun = [&](int64_t from, int64_t count, int64_t term) {
    packStraight<T>(weight + from * columns, columns, columns, count, kPanel, stride,
                    panels + term / T::kTerms * kPanel);
  };
  if (order == Order::kAsTheyAre) {
    const int64_t grain = std::max<int64_t>(2, 32768 / std::max<int64_t>(columns, 1) / 2 * 2);
    engine.team.ranges(depth, grain, [&](int64_t begin, int64_t end, int) { packRun(begin, end - begin, begin); });
    return panels;
  }
  const int64_t half = depth / 2;
  engine.team.ranges(half, kLanes, [&](int64_t begin, int64_t end, int) {
    packRun(begin, end - begin, 2 * begin);
    packRun(half + begin, end - begin, 2 * begin + kLanes);
    // Rows that pad the last pair are multiplied by zeros, so they must be finite.
    for (int64_t part = 0; part < 2; part++)
      for (int64_t unit = unitsOf<T>(end - begin); unit < kLanes / T::kTerms; unit++)
        for (int64_t panel = 0; panel < divideUp(columns, kPanel); panel++)
          std::fill_n(panels + panel * stride + ((2 * begin + part * kLanes) / T::kTerms + unit) * kPanel, kPanel,
                      typename T::Unit{});
  });
  return panels;
}

#define MIXTUNE_INSTANTIATE(T)                                                                                       \
  template void multiplyTokens<T>(Engine&, int64_t, int64_t, int64_t, TokenPanels<T>, TokenPanels<T>, float*, bool); \
  template const T::Unit* keptPanels<T>(Engine&, Block*, int64_t, int64_t, Order);                                   \
  template const T::Unit* packedPanels<T>(Engine&, const float*, int64_t, int64_t, Order);                           \
  template const T::Unit* panelsFromSecondUse<T>(Engine&, Block*, int64_t, int64_t, Order);                          \
  template const T::Unit* weightPanels<T>(Engine&, Block*, int64_t, int64_t, Order);                                 \
  template const T::Unit* weightPanelsAcross<T>(Engine&, const float*, int64_t, int64_t, Order);
MIXTUNE_FOR_EACH_KIND(MIXTUNE_INSTANTIATE)
#undef MIXTUNE_INSTANTIATE

}  // namespace mixtune
