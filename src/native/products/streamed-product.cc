#include "products/streamed-product.h"

#include <array>
#include <utility>

namespace mixtune {

namespace {

template <class Unit>
using StreamTile = void (*)(int64_t units, const Left<Unit>& left, const Unit* panel, const Unit* ahead, float* sums);

template <class Unit, int Rows, int Tiles>
void vectorTile(int64_t units, const Left<Unit>& left, const Unit* panel, const Unit* ahead, float* sums) {
  Vec sum[Rows][2];
#pragma GCC unroll 16
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
#pragma GCC unroll 16
  for (int r = 0; r < Rows; r++) {
    store(sums + r * kPanel, sum[r][0]);
    store(sums + r * kPanel + kLanes, sum[r][1]);
  }
}

template <class Unit, int Tiles, int... Index>
constexpr std::array<StreamTile<Unit>, kVectorRows> tableOf(std::integer_sequence<int, Index...>) {
  return {vectorTile<Unit, Index + 1, Tiles>...};
}

}  // namespace

template <class Unit>
void streamTile(int64_t rows, int64_t tiles, int64_t units, const Left<Unit>& left, const Unit* panel,
                const Unit* ahead, float* sums) {
#if MIXTUNE_AMX
  if constexpr (std::is_same_v<Unit, uint32_t>) {
    const int64_t lines = 2 * kAmxUnits / tiles;
    return amxMultiply(rows, units, amxRows(left), amxPanel(panel), nullptr, sums, kPanel, [&] {
      for (int64_t line = 0; line < lines; line++, ahead += kAmxUnits) __builtin_prefetch(ahead);
    });
  }
#endif
  using Heights = std::make_integer_sequence<int, kVectorRows>;
  static constexpr auto alone = tableOf<Unit, 1>(Heights()), inPair = tableOf<Unit, 2>(Heights());
  (tiles == 1 ? alone : inPair)[static_cast<size_t>(rows - 1)](units, left, panel, ahead, sums);
}

#define MIXTUNE_INSTANTIATE(Unit) \
  template void streamTile<Unit>(int64_t, int64_t, int64_t, const Left<Unit>&, const Unit*, const Unit*, float*);
MIXTUNE_INSTANTIATE(float)
#if defined(__AVX512BF16__)
MIXTUNE_INSTANTIATE(uint32_t)
#endif
#undef MIXTUNE_INSTANTIATE

}  // namespace mixtune
