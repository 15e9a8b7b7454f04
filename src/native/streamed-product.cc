#include "streamed-product.h"

#include <array>
#include <utility>

namespace mixtune {

namespace {

template <class Unit, int Rows, int Tiles>
void streamTile(int64_t units, Left<Unit> left, const Unit* panel, const Unit* ahead, float* sums) {
  Vec sum[Rows][2];
  for (int r = 0; r < Rows; r++) sum[r][0] = sum[r][1] = Vec{};
  const Unit* a = left.data;
  for (int64_t k = 0; k < units; k++) {
    const auto b0 = panelUnits(panel), b1 = panelUnits(panel + kLanes);
    __builtin_prefetch(ahead);
    if constexpr (Tiles == 1 && kPanel * sizeof(Unit) > 64) __builtin_prefetch(ahead + kLanes);
    ahead += kPanel / Tiles;
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
    store(sums + r * kPanel, sum[r][0]);
    store(sums + r * kPanel + kLanes, sum[r][1]);
  }
}

template <class Unit, int Tiles, int... Index>
constexpr std::array<StreamTile<Unit>, kTileRows> tableOf(std::integer_sequence<int, Index...>) {
  return {streamTile<Unit, Index + 1, Tiles>...};
}

}  // namespace

template <class Unit>
StreamTile<Unit> streamTileOf(int64_t rows, int64_t tiles) {
  using Heights = std::make_integer_sequence<int, kTileRows>;
  static constexpr auto alone = tableOf<Unit, 1>(Heights()), inPair = tableOf<Unit, 2>(Heights());
  return (tiles == 1 ? alone : inPair)[static_cast<size_t>(rows - 1)];
}

template StreamTile<float> streamTileOf<float>(int64_t, int64_t);
#if defined(__AVX512BF16__)
template StreamTile<uint32_t> streamTileOf<uint32_t>(int64_t, int64_t);
#endif

}  // namespace mixtune
