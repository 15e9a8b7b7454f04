// Products of bfloat16 pairs in the AMX tile registers, each of which holds sixteen rows of sixteen units or sums.
#pragma once

#include "registers/simd.h"

namespace mixtune {

#if defined(__AMX_BF16__) && defined(__linux__)
#define MIXTUNE_AMX 1
#else
#define MIXTUNE_AMX 0
#endif

#if MIXTUNE_AMX

constexpr int64_t kAmxRows = 16;
/** Units of the inner dimension that one instruction multiplies. */
constexpr int64_t kAmxUnits = 16;

/** Whether the system lets this process use the tile registers; requests permission on the first call. */
bool amxIsAllowed();

/**
 * Two tiles of an operand: `first` and `second` cover successive rows of the left operand or successive columns of the
 * right operand. Their rows are `stride` units apart, and each next kAmxUnits units of the inner dimension are `step`
 * units further on. A row of the left operand is a row of the product; a row of the right operand is a unit of the
 * inner dimension.
 */
struct AmxOperand {
  const uint32_t* first;
  const uint32_t* second;
  int64_t stride, step;
};

/**
 * Sets up this thread's tile registers for sums of `rows` ≤ 2 · kAmxRows rows. If the configuration changes, the
 * registers are cleared.
 */
void amxConfigure(int64_t rows);

/** Makes earlier writes reach memory: the compiler does not know that tile instructions read it. */
inline void amxWrittenBefore() { asm volatile("" ::: "memory"); }

/** Two by two tiles of sums in registers 0 to 3; 2 and 3 are used only for more than kAmxRows rows (`Tall`). */
template <bool Tall>
struct AmxSums {
  static void clear() {
    _tile_zero(0);
    _tile_zero(1);
    if constexpr (Tall) {
      _tile_zero(2);
      _tile_zero(3);
    }
  }

  /** `load` reads the sums from, and `store` writes them to, rows of floats that are `stride` apart. */
  static void load(const float* sums, int64_t stride) {
    _tile_loadd(0, sums, stride * 4);
    _tile_loadd(1, sums + kAmxRows, stride * 4);
    if constexpr (Tall) {
      _tile_loadd(2, sums + kAmxRows * stride, stride * 4);
      _tile_loadd(3, sums + kAmxRows * stride + kAmxRows, stride * 4);
    }
  }
  static void store(float* sums, int64_t stride) {
    _tile_stored(0, sums, stride * 4);
    _tile_stored(1, sums + kAmxRows, stride * 4);
    if constexpr (Tall) {
      _tile_stored(2, sums + kAmxRows * stride, stride * 4);
      _tile_stored(3, sums + kAmxRows * stride + kAmxRows, stride * 4);
    }
  }

  /**
   * Adds left · right over `units` units for `rows` rows. Calls between() after each kAmxUnits units, so that the
   * caller can overlap other work.
   */
  template <class Between>
  static void multiply(int64_t rows, int64_t units, AmxOperand left, AmxOperand right, const Between& between) {
    for (; units >= kAmxUnits; units -= kAmxUnits) {
      step(left.first, left.second, left.stride * 4, right.first, right.second, right.stride * 4);
      left.first += left.step;
      left.second += left.step;
      right.first += right.step;
      right.second += right.step;
      between();
    }
    if (units > 0) rest(rows, units, left, right);
  }

 private:
  static void step(const uint32_t* left, const uint32_t* secondLeft, int64_t leftBytes, const uint32_t* right,
                   const uint32_t* secondRight, int64_t rightBytes) {
    _tile_loadd(6, right, rightBytes);
    _tile_loadd(4, left, leftBytes);
    _tile_dpbf16ps(0, 4, 6);
    _tile_loadd(7, secondRight, rightBytes);
    _tile_dpbf16ps(1, 4, 7);
    if constexpr (Tall) {
      _tile_loadd(5, secondLeft, leftBytes);
      _tile_dpbf16ps(2, 5, 6);
      _tile_dpbf16ps(3, 5, 7);
    }
  }

  /** Multiplies the last `count` < kAmxUnits units, padded with zeros. */
  static void rest(int64_t rows, int64_t count, const AmxOperand& left, const AmxOperand& right) {
    alignas(64) uint32_t leftUnits[2 * kAmxRows][kAmxUnits], rightUnits[2][kAmxUnits][kAmxRows];
    const auto mask = static_cast<__mmask16>((1u << count) - 1);
    for (int64_t r = 0; r < rows; r++) {
      const uint32_t* row = r < kAmxRows ? left.first + r * left.stride : left.second + (r - kAmxRows) * left.stride;
      _mm512_store_si512(leftUnits[r], _mm512_maskz_loadu_epi32(mask, row));
    }
    for (int64_t k = 0; k < kAmxUnits; k++) {
      storeBits(rightUnits[0][k], k < count ? loadBits(right.first + k * right.stride) : VecBits{});
      storeBits(rightUnits[1][k], k < count ? loadBits(right.second + k * right.stride) : VecBits{});
    }
    amxWrittenBefore();
    step(leftUnits[0], leftUnits[kAmxRows], 64, rightUnits[0][0], rightUnits[1][0], 64);
  }
};

/**
 * sums [rows, 2 · kAmxRows] = left · right, plus `from` if it is not null. The rows of both `sums` and `from` are
 * `stride` apart. Calls between() as AmxSums::multiply does.
 */
template <class Between>
inline void amxMultiply(int64_t rows, int64_t units, const AmxOperand& left, const AmxOperand& right, const float* from,
                        float* sums, int64_t stride, const Between& between) {
  amxConfigure(rows);
  amxWrittenBefore();
  const auto run = [&](auto tile) {
    from ? tile.load(from, stride) : tile.clear();
    tile.multiply(rows, units, left, right, between);
    tile.store(sums, stride);
  };
  rows > kAmxRows ? run(AmxSums<true>()) : run(AmxSums<false>());
}

inline void amxMultiply(int64_t rows, int64_t units, const AmxOperand& left, const AmxOperand& right, float* sums,
                        int64_t stride, bool accumulate) {
  amxMultiply(rows, units, left, right, accumulate ? sums : nullptr, sums, stride, [] {});
}

/**
 * Transposes sixteen rows of sixteen units: to[j][i] = from[i][j]. Rows of `from` are `stride` apart; those from
 * `count` on count as zero.
 */
void amxTranspose(const uint32_t* from, int64_t stride, int64_t count, uint32_t* to, int64_t toStride);

#endif

}  // namespace mixtune
