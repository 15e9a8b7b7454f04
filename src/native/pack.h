// Layouts of operands for the tiles of a matrix product, in one of three kinds of unit.
#pragma once

#include "tiles.h"

namespace mixtune {

/** Operands as they are. */
struct Float {
  using Unit = float;
  /** Terms of the inner dimension in a unit. */
  static constexpr int64_t kTerms = 1;
  /** True where a unit is something else than the float that it was made of. */
  static constexpr bool kConverts = false;
};

/** Operands rounded to bfloat16 and kept as floats: for processors whose float products are the faster ones. */
struct RoundedFloat {
  using Unit = float;
  static constexpr int64_t kTerms = 1;
  static constexpr bool kConverts = true;
};

/** Operands in bfloat16, two terms to a unit: for processors that multiply these faster. */
struct Bfloat16 {
  using Unit = uint32_t;
  static constexpr int64_t kTerms = 2;
  static constexpr bool kConverts = true;
};

template <class T>
constexpr int64_t unitsOf(int64_t terms) {
  return (terms + T::kTerms - 1) / T::kTerms;
}

/** Units from one panel (or tile of the left operand) to the next: apart by a cache line, or equal sets would collide.
 */
inline int64_t panelStride(int64_t units, int64_t width = kPanel) { return units * width + 16; }

/**
 * A panel out[k][kPanel] from `count` rows of the inner dimension: term k of column i is source[i · stride + k].
 * What is beyond `count` becomes zero.
 */
template <class T>
void packTransposed(const float* source, int64_t stride, int64_t count, int64_t depth, typename T::Unit* out);

/**
 * Panels or tiles out[tile][k][width], panelStride apart, from rows of the outer dimension: term k of column tile ·
 * width + i is source[k · stride + tile · width + i]. What is beyond `count` is undefined; reads and writes go in whole
 * vectors, so up to kLanes elements beyond the last are touched.
 */
template <class T>
void packStraight(const float* source, int64_t stride, int64_t count, int64_t depth, int64_t width,
                  typename T::Unit* out);

/** One row of `depth` terms as units. */
template <class T>
void packRow(const float* source, int64_t depth, typename T::Unit* out);

}  // namespace mixtune
