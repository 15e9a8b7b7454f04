#include "gemm.h"

#include <algorithm>

#include "operations.h"

namespace mixtune {

namespace {

/** Units of the inner dimension that are summed in registers before the result is touched. */
constexpr int64_t kDepth = 1024;
/** Bytes of the left operand that stay in the second-level cache while panels pass by. */
constexpr int64_t kLeftBytes = 256 << 10;
/** Multiply-adds below which a task is not worth its dispatch. */
constexpr int64_t kSmallTask = 1 << 18;

/** How a result is cut into tasks: `height` rows to a tile, tasks of whole tiles by whole panels. */
struct Split {
  int64_t height, rows, columns;

  Split(const Team& team, int64_t allRows, int64_t allColumns, int64_t depth, int64_t bytesOfRow) {
    height = tileHeight(allRows);
    rows = std::max(height, kLeftBytes / std::max<int64_t>(bytesOfRow, 1) / height * height);
    rows = std::min(rows, (allRows + height - 1) / height * height);
    const int64_t wanted = team.size() == 1 ? 1 : 4 * team.size();
    const int64_t rowTasks = (allRows + rows - 1) / rows;
    const int64_t panels = (allColumns + kPanel - 1) / kPanel;
    int64_t groups = std::min(panels, (wanted + rowTasks - 1) / rowTasks);
    const int64_t work = std::min(rows, allRows) * allColumns * depth;
    groups = std::max<int64_t>(1, std::min(groups, work / kSmallTask));
    columns = (panels + groups - 1) / groups * kPanel;
  }
};

/** Runs the tiles of out = left · panels, with left in units, by row or (as tiles of `height` rows) by column. */
template <class T, bool ByColumn>
void runTasks(Engine& engine, const Split& split, int64_t rows, int64_t columns, int64_t units, Left<T> left,
              const typename T::Unit* panels, float* out, int64_t outStride, bool accumulate) {
  const int64_t rowTasks = (rows + split.rows - 1) / split.rows;
  const int64_t columnTasks = (columns + split.columns - 1) / split.columns;
  engine.team.parallel(rowTasks * columnTasks, [&](int64_t task, int) {
    const int64_t firstRow = task % rowTasks * split.rows, firstColumn = task / rowTasks * split.columns;
    const int64_t lastRow = std::min(rows, firstRow + split.rows), lastColumn = std::min(columns, firstColumn + split.columns);
    for (int64_t k = 0; k < units; k += kDepth) {
      const int64_t depth = std::min(kDepth, units - k);
      for (int64_t column = firstColumn; column < lastColumn; column += kPanel) {
        const typename T::Unit* panel = panels + column / kPanel * kPanel * units + k * kPanel;
        const int width = static_cast<int>(std::min<int64_t>(kPanel, lastColumn - column));
        for (int64_t row = firstRow; row < lastRow; row += split.height) {
          const int64_t height = std::min(split.height, lastRow - row);
          const typename T::Unit* from =
              ByColumn ? left.data + row * units + k * split.height : left.data + row * left.stride + k;
          tileOf<T, ByColumn>(height)(depth, {from, left.stride}, panel,
                                      out + row * outStride + column, outStride, width, accumulate || k > 0);
        }
      }
    }
  });
}

}  // namespace

Left<Float> leftRows(Engine&, Float, const float* data, int64_t stride, int64_t, int64_t) { return {data, stride}; }

Left<Bfloat16> leftRows(Engine& engine, Bfloat16, const float* data, int64_t stride, int64_t rows, int64_t depth) {
  const int64_t units = unitsOf<Bfloat16>(depth);
  uint32_t* packed = engine.scratch.take<uint32_t>(rows * units);
  engine.team.ranges(rows, 32768 / (depth + 1) + 1, [&](int64_t begin, int64_t end, int) {
    for (int64_t row = begin; row < end; row++) packRow(data + row * stride, depth, packed + row * units);
  });
  return {packed, units};
}

template <class T>
void packPanels(Engine& engine, Matrix right, int64_t depth, int64_t columns, typename T::Unit* panels) {
  const int64_t units = unitsOf<T>(depth), count = (columns + kPanel - 1) / kPanel;
  const int64_t grain = std::max<int64_t>(1, 16384 / (kPanel * std::max<int64_t>(depth, 1)));
  engine.team.ranges(count, grain, [&](int64_t begin, int64_t end, int) {
    for (int64_t panel = begin; panel < end; panel++) {
      const int64_t first = panel * kPanel, width = std::min<int64_t>(kPanel, columns - first);
      typename T::Unit* to = panels + first * units;
      if (right.transposed) packTransposed<T>(right.data + first * right.stride, right.stride, width, depth, kPanel, to);
      else packStraight<T>(right.data + first, right.stride, width, depth, kPanel, to);
    }
  });
}

template <class T>
void multiplyPacked(Engine& engine, int64_t rows, int64_t columns, int64_t depth, Matrix left, const typename T::Unit* panels,
                    float* out, int64_t outStride, bool accumulate) {
  if (rows == 0 || columns == 0) return;
  if (depth == 0) {
    for (int64_t row = 0; !accumulate && row < rows; row++) std::fill_n(out + row * outStride, columns, 0.0f);
    return;
  }
  const int64_t units = unitsOf<T>(depth);
  const Split split(engine.team, rows, columns, depth, std::min(units, kDepth) * 4);
  if (!left.transposed) {
    const Left<T> from = leftRows(engine, T{}, left.data, left.stride, rows, depth);
    return runTasks<T, false>(engine, split, rows, columns, units, from, panels, out, outStride, accumulate);
  }
  const int64_t tiles = (rows + split.height - 1) / split.height;
  typename T::Unit* packed = engine.scratch.take<typename T::Unit>(tiles * split.height * units);
  engine.team.ranges(tiles, 16384 / (split.height * depth + 1) + 1, [&](int64_t begin, int64_t end, int) {
    for (int64_t t = begin; t < end; t++) {
      const int64_t first = t * split.height;
      packStraight<T>(left.data + first, left.stride, std::min(split.height, rows - first), depth, split.height,
                      packed + first * units);
    }
  });
  runTasks<T, true>(engine, split, rows, columns, units, {packed, split.height}, panels, out, outStride, accumulate);
}

template <class T>
const typename T::Unit* weightPanels(Engine& engine, Block* weight, PackedCopy Block::*member, int64_t depth, int64_t columns) {
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

template const float* weightPanels<Float>(Engine&, Block*, PackedCopy Block::*, int64_t, int64_t);
template const uint32_t* weightPanels<Bfloat16>(Engine&, Block*, PackedCopy Block::*, int64_t, int64_t);

namespace {

template <class T>
void multiplyAs(Engine& engine, int64_t rows, int64_t columns, int64_t depth, Matrix left, Matrix right, float* out,
                int64_t outStride, bool accumulate) {
  typename T::Unit* panels = engine.scratch.take<typename T::Unit>(panelUnits<T>(depth, columns));
  packPanels<T>(engine, right, depth, columns, panels);
  multiplyPacked<T>(engine, rows, columns, depth, left, panels, out, outStride, accumulate);
}

template <class T>
void multiplyByWeightAs(Engine& engine, int64_t rows, int64_t columns, int64_t depth, Matrix left, Block* weight,
                        PackedCopy Block::*copy, float* out, int64_t outStride, bool accumulate) {
  const typename T::Unit* panels = weightPanels<T>(engine, weight, copy, depth, columns);
  multiplyPacked<T>(engine, rows, columns, depth, left, panels, out, outStride, accumulate);
}

}  // namespace

void multiply(Engine& engine, int64_t rows, int64_t columns, int64_t depth, Matrix left, Matrix right, float* out,
              int64_t outStride, bool accumulate) {
  const auto run = engine.bfloat16 ? multiplyAs<Bfloat16> : multiplyAs<Float>;
  run(engine, rows, columns, depth, left, right, out, outStride, accumulate);
}

void multiplyByWeight(Engine& engine, int64_t rows, int64_t columns, int64_t depth, Matrix left, Block* weight,
                      PackedCopy Block::*copy, float* out, int64_t outStride, bool accumulate) {
  const auto run = engine.bfloat16 ? multiplyByWeightAs<Bfloat16> : multiplyByWeightAs<Float>;
  run(engine, rows, columns, depth, left, weight, copy, out, outStride, accumulate);
}

}  // namespace mixtune
