#include "tiles.h"

#include <array>
#include <utility>

namespace mixtune {

namespace {

template <class Unit, bool ByColumn, int... Index>
constexpr std::array<TileFunction<Unit>, kTileRows> tableOf(std::integer_sequence<int, Index...>) {
  return {tile<Unit, Index + 1, ByColumn>...};
}

}  // namespace

template <class Unit, bool ByColumn>
TileFunction<Unit> tileOf(int64_t rows) {
  static constexpr auto table = tableOf<Unit, ByColumn>(std::make_integer_sequence<int, kTileRows>());
  return table[static_cast<size_t>(rows - 1)];
}

template TileFunction<float> tileOf<float, false>(int64_t);
template TileFunction<float> tileOf<float, true>(int64_t);
#if defined(__AVX512BF16__)
template TileFunction<uint32_t> tileOf<uint32_t, false>(int64_t);
template TileFunction<uint32_t> tileOf<uint32_t, true>(int64_t);
#endif

}  // namespace mixtune
