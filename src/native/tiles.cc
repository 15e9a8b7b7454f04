#include "tiles.h"

#include <array>
#include <utility>

namespace mixtune {

namespace {

template <class T, bool ByColumn, int... Index>
constexpr std::array<TileFunction<T>, kTileRows> tableOf(std::integer_sequence<int, Index...>) {
  return {tile<T, Index + 1, ByColumn>...};
}

}  // namespace

template <class T, bool ByColumn>
TileFunction<T> tileOf(int64_t rows) {
  static constexpr auto table = tableOf<T, ByColumn>(std::make_integer_sequence<int, kTileRows>());
  return table[static_cast<size_t>(rows - 1)];
}

template TileFunction<Float> tileOf<Float, false>(int64_t);
template TileFunction<Float> tileOf<Float, true>(int64_t);
template TileFunction<Bfloat16> tileOf<Bfloat16, false>(int64_t);
template TileFunction<Bfloat16> tileOf<Bfloat16, true>(int64_t);

}  // namespace mixtune
