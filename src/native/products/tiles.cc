#include "products/tiles.h"

#include <array>
#include <utility>

namespace mixtune {

namespace {

/** Writes or adds the first `columns` of a row of kPanel sums. */
inline void putSums(const Vec& first, const Vec& second, float* to, int columns, bool accumulate) {
  if (columns == kPanel) {
    store(to, accumulate ? load(to) + first : first);
    store(to + kLanes, accumulate ? load(to + kLanes) + second : second);
    return;
  }
  float whole[kPanel];
  store(whole, first);
  store(whole + kLanes, second);
  for (int i = 0; i < columns; i++) to[i] = accumulate ? to[i] + whole[i] : whole[i];
}

template <class Unit>
using TileFunction = void (*)(int64_t, const Left<Unit>&, const Unit*, float*, int64_t, int, bool);

/** A tile of `Rows` rows in vector registers. */
template <class Unit, int Rows, bool ByColumn>
void vectorTile(int64_t depth, const Left<Unit>& left, const Unit* panel, float* out, int64_t outStride, int columns,
                bool accumulate) {
  Vec sum[Rows][2];
#pragma GCC unroll 16
  for (int r = 0; r < Rows; r++) sum[r][0] = sum[r][1] = Vec{};
  const Unit* a = left.data;
  for (int64_t k = 0; k < depth; k++) {
    const auto b0 = panelUnits(panel), b1 = panelUnits(panel + kLanes);
#pragma GCC unroll 16
    for (int r = 0; r < Rows; r++) {
      const auto value = broadcastUnit(a[ByColumn ? r : r * left.stride]);
      multiplyAdd(sum[r][0], value, b0);
      multiplyAdd(sum[r][1], value, b1);
    }
    panel += kPanel;
    a += ByColumn ? left.stride : 1;
  }
#pragma GCC unroll 16  // otherwise the sums would be stored by way of the stack
  for (int r = 0; r < Rows; r++) putSums(sum[r][0], sum[r][1], out + r * outStride, columns, accumulate);
}

template <class Unit, bool ByColumn, int... Index>
constexpr std::array<TileFunction<Unit>, kVectorRows> tableOf(std::integer_sequence<int, Index...>) {
  return {vectorTile<Unit, Index + 1, ByColumn>...};
}

#if MIXTUNE_AMX
/** A tile in the tile registers of AMX. */
template <bool ByColumn>
void amxTile(int64_t rows, int64_t depth, const Left<uint32_t>& left, const uint32_t* panel, float* out,
             int64_t outStride, int columns, bool accumulate) {
  if (columns < kPanel) {
    alignas(64) float sums[2 * kAmxRows * kPanel];
    amxTile<ByColumn>(rows, depth, left, panel, sums, kPanel, kPanel, false);
    for (int64_t r = 0; r < rows; r++)
      putSums(load(sums + r * kPanel), load(sums + r * kPanel + kLanes), out + r * outStride, columns, accumulate);
    return;
  }
  if constexpr (!ByColumn) {
    amxMultiply(rows, depth, amxRows(left), amxPanel(panel), out, outStride, accumulate);
  } else {
    alignas(64) uint32_t turned[2][kAmxRows * kAmxUnits];
    for (int64_t k = 0; k < depth || k == 0; k += kAmxUnits) {
      const int64_t count = std::min(kAmxUnits, depth - k);
      for (int64_t half = 0; half * kAmxRows < rows; half++)
        amxTranspose(left.data + k * left.stride + half * kAmxRows, left.stride, count, turned[half], kAmxUnits);
      amxMultiply(rows, count, {turned[0], turned[1], kAmxUnits, 0}, amxPanel(panel + k * kPanel), out, outStride,
                  accumulate || k > 0);
    }
  }
}
#endif

}  // namespace

template <class Unit, bool ByColumn>
void multiplyTile(int64_t rows, int64_t depth, const Left<Unit>& left, const Unit* panel, float* out, int64_t outStride,
                  int columns, bool accumulate) {
#if MIXTUNE_AMX
  if constexpr (std::is_same_v<Unit, uint32_t>)
    return amxTile<ByColumn>(rows, depth, left, panel, out, outStride, columns, accumulate);
#endif
  static constexpr auto table = tableOf<Unit, ByColumn>(std::make_integer_sequence<int, kVectorRows>());
  table[static_cast<size_t>(rows - 1)](depth, left, panel, out, outStride, columns, accumulate);
}

#define MIXTUNE_INSTANTIATE(Unit, byColumn)                                                                          \
  template void multiplyTile<Unit, byColumn>(int64_t, int64_t, const Left<Unit>&, const Unit*, float*, int64_t, int, \
                                             bool);
MIXTUNE_INSTANTIATE(float, false)
MIXTUNE_INSTANTIATE(float, true)
#if defined(__AVX512BF16__)
MIXTUNE_INSTANTIATE(uint32_t, false)
MIXTUNE_INSTANTIATE(uint32_t, true)
#endif
#undef MIXTUNE_INSTANTIATE

}  // namespace mixtune
