#include "gemm.h"

#include <algorithm>

namespace mixtune {

namespace {

/** Units of the inner dimension that are summed in registers before the result is touched. */
constexpr int64_t kDepth = 1024;
/** Bytes of the left operand that stay in the second-level cache while panels pass by. */
constexpr int64_t kLeftBytes = 512 << 10;
/** Multiply-adds below which a task is not worth its dispatch. */
constexpr int64_t kSmallTask = 1 << 18;
constexpr int64_t kTasksPerThread = 8;

int64_t divideUp(int64_t a, int64_t b) { return (a + b - 1) / b; }

struct Product {
  int64_t rows, columns, depth;
  Matrix left;
  float* out;
  int64_t outStride;
  bool accumulate;
};

/** How a product is cut into tasks. It has no influence on the result. */
struct Split {
  /** Rows of a tile; rows and columns of a task; units of the inner dimension at a time. */
  int64_t height, rows, columns, depth;

  Split(const Team& team, const Product& p, int64_t units) {
    height = tileHeight(p.rows);
    depth = divideUp(units, divideUp(units, kDepth));
    const int64_t tiles = divideUp(p.rows, height);
    const int64_t most = std::max<int64_t>(1, kLeftBytes / (depth * 4 * height));
    const int64_t wanted = team.size() == 1 ? 1 : kTasksPerThread * team.size();
    const int64_t smallest = std::max<int64_t>(1, kSmallTask / (height * p.columns * p.depth + 1));
    const int64_t tilesOfTask =
        std::clamp(divideUp(tiles, wanted), std::min(std::max<int64_t>(smallest, 4), most), most);
    rows = tilesOfTask * height;
    const int64_t panels = divideUp(p.columns, kPanel);
    const int64_t work = std::min(rows, p.rows) * p.columns * p.depth;
    const int64_t groups = std::min({panels, divideUp(wanted, divideUp(p.rows, rows)), work / kSmallTask});
    columns = divideUp(panels, std::max<int64_t>(groups, 1)) * kPanel;
  }
};

/** `count` rows of the left operand from `row` on, units [k, k + depth), laid out for tiles of `height` rows. */
template <class T, bool ByColumn>
Left<typename T::Unit> prepareLeft(const Product& p, int64_t row, int64_t count, int64_t k, int64_t depth,
                                   int64_t height, Scratch& scratch) {
  using Unit = typename T::Unit;
  const int64_t first = k * T::kTerms, terms = std::min(depth * T::kTerms, p.depth - first);
  if constexpr (ByColumn) {
    Unit* packed = scratch.take<Unit>(divideUp(count, height) * panelStride(depth, height) + kLanes);
    packStraight<T>(p.left.data + first * p.left.stride + row, p.left.stride, count, terms, height, packed);
    return {packed, height};
  } else if constexpr (T::kConverts) {
    Unit* packed = scratch.take<Unit>(count * depth);
    for (int64_t r = 0; r < count; r++)
      packRow<T>(p.left.data + (row + r) * p.left.stride + first, terms, packed + r * depth);
    return {packed, depth};
  } else {
    return {p.left.data + row * p.left.stride + first, p.left.stride};
  }
}

template <class T, bool ByColumn>
void runTasks(Engine& engine, const Product& p, const typename T::Unit* panels) {
  const int64_t units = unitsOf<T>(p.depth);
  const Split split(engine.team, p, units);
  const int64_t rowTasks = divideUp(p.rows, split.rows), columnTasks = divideUp(p.columns, split.columns);
  engine.team.parallel(rowTasks * columnTasks, [&](int64_t task, int thread) {
    const int64_t row = task % rowTasks * split.rows, column = task / rowTasks * split.columns;
    const int64_t rows = std::min(split.rows, p.rows - row), columns = std::min(split.columns, p.columns - column);
    Scratch& scratch = engine.scratchOf(thread);
    for (int64_t k = 0; k < units; k += split.depth) {
      const int64_t depth = std::min(split.depth, units - k);
      scratch.reset();
      const Left<typename T::Unit> left = prepareLeft<T, ByColumn>(p, row, rows, k, depth, split.height, scratch);
      multiplyPanels<typename T::Unit, ByColumn>(
          rows, columns, depth, left, panels + column / kPanel * panelStride(units) + k * kPanel, panelStride(units),
          p.out + row * p.outStride + column, p.outStride, p.accumulate || k > 0, split.height,
          ByColumn ? panelStride(depth, split.height) : split.height * left.stride);
    }
  });
}

template <class T>
void multiplyPacked(Engine& engine, const Product& p, const typename T::Unit* panels) {
  if (p.depth == 0) {
    for (int64_t row = 0; !p.accumulate && row < p.rows; row++) std::fill_n(p.out + row * p.outStride, p.columns, 0.0f);
  } else if (p.rows > 0 && p.columns > 0) {
    p.left.transposed ? runTasks<T, true>(engine, p, panels) : runTasks<T, false>(engine, p, panels);
  }
}

/** Units that the panels of a right operand [depth, columns] take. */
template <class T>
int64_t panelUnits(int64_t depth, int64_t columns) {
  return divideUp(columns, kPanel) * panelStride(unitsOf<T>(depth));
}

template <class T>
void packPanels(Engine& engine, Matrix right, int64_t depth, int64_t columns, typename T::Unit* panels) {
  const int64_t units = unitsOf<T>(depth), grain = std::max<int64_t>(1, 16384 / (kPanel * std::max<int64_t>(depth, 1)));
  engine.team.ranges(divideUp(columns, kPanel), grain, [&](int64_t begin, int64_t end, int) {
    for (int64_t panel = begin; panel < end; panel++) {
      const int64_t first = panel * kPanel, width = std::min<int64_t>(kPanel, columns - first);
      typename T::Unit* to = panels + panel * panelStride(units);
      if (right.transposed)
        packTransposed<T>(right.data + first * right.stride, right.stride, width, depth, to);
      else
        packStraight<T>(right.data + first, right.stride, width, depth, kPanel, to);
    }
  });
}

}  // namespace

template <class T>
Left<typename T::Unit> leftRows(Engine& engine, const float* data, int64_t stride, int64_t rows, int64_t depth) {
  if constexpr (!T::kConverts) {
    return {data, stride};
  } else {
    const int64_t units = unitsOf<T>(depth);
    auto* packed = engine.scratch.take<typename T::Unit>(rows * units);
    engine.team.ranges(rows, 32768 / (depth + 1) + 1, [&](int64_t begin, int64_t end, int) {
      for (int64_t row = begin; row < end; row++) packRow<T>(data + row * stride, depth, packed + row * units);
    });
    return {packed, units};
  }
}

template <class T>
const typename T::Unit* weightPanels(Engine& engine, Block* weight, PackedCopy Block::* member, int64_t depth,
                                     int64_t columns) {
  PackedCopy& copy = weight->*member;
  if (copy.version != weight->version || copy.rows != depth || copy.columns != columns) {
    const size_t bytes = static_cast<size_t>(panelUnits<T>(depth, columns)) * sizeof(typename T::Unit);
    if (copy.bytes != bytes) {
      copy.memory = allocateAligned(bytes);
      engine.packedBytes += static_cast<int64_t>(bytes) - static_cast<int64_t>(copy.bytes);
      copy.bytes = bytes;
    }
    const bool forward = member == &Block::forward;
    const Matrix right{reinterpret_cast<const float*>(weight->memory.get()), forward ? depth : columns, forward};
    packPanels<T>(engine, right, depth, columns, reinterpret_cast<typename T::Unit*>(copy.memory.get()));
    copy.version = weight->version;
    copy.rows = depth;
    copy.columns = columns;
  }
  return reinterpret_cast<const typename T::Unit*>(copy.memory.get());
}

#define MIXTUNE_INSTANTIATE(T)                                                          \
  template Left<T::Unit> leftRows<T>(Engine&, const float*, int64_t, int64_t, int64_t); \
  template const T::Unit* weightPanels<T>(Engine&, Block*, PackedCopy Block::*, int64_t, int64_t);
MIXTUNE_INSTANTIATE(Float)
MIXTUNE_INSTANTIATE(RoundedFloat)
#if defined(__AVX512BF16__)
MIXTUNE_INSTANTIATE(Bfloat16)
#endif
#undef MIXTUNE_INSTANTIATE

void multiply(Engine& engine, int64_t rows, int64_t columns, int64_t depth, Matrix left, Matrix right, float* out,
              int64_t outStride, bool accumulate) {
  inPrecision(engine, [&](auto kind) {
    using T = decltype(kind);
    auto* panels = engine.scratch.take<typename T::Unit>(panelUnits<T>(depth, columns));
    packPanels<T>(engine, right, depth, columns, panels);
    multiplyPacked<T>(engine, {rows, columns, depth, left, out, outStride, accumulate}, panels);
  });
}

void multiplyByWeight(Engine& engine, int64_t rows, int64_t columns, int64_t depth, Matrix left, Block* weight,
                      PackedCopy Block::* copy, float* out, int64_t outStride, bool accumulate) {
  inPrecision(engine, [&](auto kind) {
    using T = decltype(kind);
    const typename T::Unit* panels = weightPanels<T>(engine, weight, copy, depth, columns);
    multiplyPacked<T>(engine, {rows, columns, depth, left, out, outStride, accumulate}, panels);
  });
}

}  // namespace mixtune
