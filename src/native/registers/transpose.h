// Transposes square blocks of a matrix in registers.
#pragma once

#include <utility>

#include "registers/simd.h"

namespace mixtune {

/** Exchanges blocks of `Half` lanes between two rows, which is one step of a transpose. */
template <int Half, int... Lane>
inline void exchange(VecBits& a, VecBits& b, std::integer_sequence<int, Lane...>) {
  const VecBits first = __builtin_shufflevector(a, b, (Lane / Half % 2 == 0 ? Lane : kLanes + Lane - Half)...);
  b = __builtin_shufflevector(a, b, (Lane / Half % 2 == 0 ? Lane + Half : kLanes + Lane)...);
  a = first;
}

/** Transposes kLanes rows of kLanes lanes. */
template <int Half = kLanes / 2>
inline void transpose(VecBits (&rows)[kLanes]) {
#pragma GCC unroll 16
  for (int i = 0; i < kLanes; i++)
    if (i / Half % 2 == 0) exchange<Half>(rows[i], rows[i + Half], std::make_integer_sequence<int, kLanes>());
  if constexpr (Half > 1) transpose<Half / 2>(rows);
}

}  // namespace mixtune
