#include "streamed-product.h"

#include <array>
#include <utility>

namespace mixtune {

namespace {

/** Bytes ahead of the panel that is being multiplied: what memory delivers while one line is worked on. */
constexpr int64_t kAheadBytes = 8192;
/** Bytes of the left operand that stay in the second-level cache while panels pass by. */
constexpr int64_t kLeftBytes = 384 << 10;
/** Multiply-adds below which a task is not worth its dispatch. */
constexpr int64_t kSmallTask = 1 << 16;
constexpr int64_t kTasksPerThread = 4;

int64_t divideUp(int64_t a, int64_t b) { return (a + b - 1) / b; }

/** Rows of the left operand against one panel; `Fetch` asks memory for what follows, for the first tile of a panel. */
template <class Unit, int Rows, bool Fetch>
void streamTile(int64_t depth, Left<Unit> left, const Unit* panel, float* out, int64_t outStride, int64_t columns,
                bool accumulate) {
  constexpr int64_t kAhead = kAheadBytes / static_cast<int64_t>(sizeof(Unit));
  Vec sum[Rows][2];
  for (int r = 0; r < Rows; r++) sum[r][0] = sum[r][1] = Vec{};
  const Unit* a = left.data;
  for (int64_t k = 0; k < depth; k++) {
    const auto b0 = panelUnits(panel), b1 = panelUnits(panel + kLanes);
    if constexpr (Fetch) {
      __builtin_prefetch(panel + kAhead);
      if constexpr (kPanel * sizeof(Unit) > 64) __builtin_prefetch(panel + kAhead + kLanes);
    }
#pragma GCC unroll 16
    for (int r = 0; r < Rows; r++) {
      const auto value = broadcastUnit(a[r * left.stride]);
      multiplyAdd(sum[r][0], value, b0);
      multiplyAdd(sum[r][1], value, b1);
    }
    panel += kPanel;
    a++;
  }
  for (int r = 0; r < Rows; r++) {
    float* to = out + r * outStride;
    if (columns >= kPanel) {
      store(to, accumulate ? load(to) + sum[r][0] : sum[r][0]);
      store(to + kLanes, accumulate ? load(to + kLanes) + sum[r][1] : sum[r][1]);
    } else {
      float whole[kPanel];
      store(whole, sum[r][0]);
      store(whole + kLanes, sum[r][1]);
      for (int i = 0; i < columns; i++) to[i] = accumulate ? to[i] + whole[i] : whole[i];
    }
  }
}

template <class Unit>
using StreamTile = void (*)(int64_t, Left<Unit>, const Unit*, float*, int64_t, int64_t, bool);

template <class Unit, bool Fetch, int... Index>
constexpr std::array<StreamTile<Unit>, kTileRows> tableOf(std::integer_sequence<int, Index...>) {
  return {streamTile<Unit, Index + 1, Fetch>...};
}

template <class Unit, bool Fetch>
StreamTile<Unit> streamTileOf(int64_t rows) {
  static constexpr auto table = tableOf<Unit, Fetch>(std::make_integer_sequence<int, kTileRows>());
  return table[static_cast<size_t>(rows - 1)];
}

}  // namespace

template <class T>
void streamedProduct(Engine& engine, int64_t rows, int64_t columns, int64_t depth, Left<typename T::Unit> left,
                     const typename T::Unit* panels, float* out, bool accumulate) {
  using Unit = typename T::Unit;
  const int64_t units = unitsOf<T>(depth), height = tileHeight(rows), panelCount = divideUp(columns, kPanel);
  const int64_t rowBytes = left.stride * static_cast<int64_t>(sizeof(Unit));
  const int64_t blockRows = std::max<int64_t>(1, kLeftBytes / (rowBytes * height)) * height;
  const int64_t blocks = divideUp(rows, blockRows);
  const int64_t wanted = engine.team.size() == 1 ? 1 : divideUp(kTasksPerThread * engine.team.size(), blocks);
  const int64_t groups =
      std::clamp<int64_t>(std::min(rows, blockRows) * columns * depth / kSmallTask, 1, std::min(wanted, panelCount));
  engine.team.parallel(blocks * groups, [&](int64_t task, int) {
    const int64_t block = task / groups, group = task % groups;
    const int64_t firstRow = block * blockRows, lastRow = std::min(rows, firstRow + blockRows);
    for (int64_t p = group * panelCount / groups; p < (group + 1) * panelCount / groups; p++) {
      const Unit* panel = panels + p * panelStride(units);
      const int64_t width = columns - p * kPanel;
      for (int64_t row = firstRow; row < lastRow; row += height) {
        const int64_t count = std::min(height, lastRow - row);
        const auto tile = row == firstRow ? streamTileOf<Unit, true>(count) : streamTileOf<Unit, false>(count);
        tile(units, {left.data + row * left.stride, left.stride}, panel, out + row * columns + p * kPanel, columns,
             width, accumulate);
      }
    }
  });
}

#define MIXTUNE_INSTANTIATE(T)                                                                                \
  template void streamedProduct<T>(Engine&, int64_t, int64_t, int64_t, Left<T::Unit>, const T::Unit*, float*, \
                                   bool);
MIXTUNE_INSTANTIATE(Float)
MIXTUNE_INSTANTIATE(RoundedFloat)
#if defined(__AVX512BF16__)
MIXTUNE_INSTANTIATE(Bfloat16)
#endif
#undef MIXTUNE_INSTANTIATE

}  // namespace mixtune
