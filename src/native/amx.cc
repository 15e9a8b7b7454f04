#include "amx.h"

#if MIXTUNE_AMX

#include <sys/syscall.h>
#include <unistd.h>

#include "transpose.h"

namespace mixtune {

namespace {

/** What LDTILECFG reads (Intel SDM, volume 1, 18.3): rows and bytes of a row of each tile register. */
struct alignas(64) Configuration {
  uint8_t palette = 1, startRow = 0;
  uint8_t reserved[14] = {};
  uint16_t rowBytes[16] = {};
  uint8_t rows[16] = {};
};

/** Tiles 0 to 3 for two by two blocks of sums, 4 and 5 for the left operand, 6 and 7 for the right one. */
void configureFor(int64_t rows) {
  thread_local int64_t configured = 0;
  if (configured == rows) return;
  Configuration configuration;
  const auto first = static_cast<uint8_t>(rows < kAmxRows ? rows : kAmxRows);
  const auto second = static_cast<uint8_t>(rows > kAmxRows ? rows - kAmxRows : 1);
  const uint8_t rowsOf[8] = {first, first, second, second, first, second, kAmxUnits, kAmxUnits};
  for (int tile = 0; tile < 8; tile++) {
    configuration.rowBytes[tile] = 64;
    configuration.rows[tile] = rowsOf[tile];
  }
  _tile_loadconfig(&configuration);
  configured = rows;
}

/** The compiler does not know that tile instructions read memory. */
inline void writtenBefore() { asm volatile("" ::: "memory"); }

template <bool Tall>
inline void multiplyStep(const uint32_t* left, const uint32_t* secondLeft, const uint32_t* right,
                         const uint32_t* secondRight, int64_t leftBytes, int64_t rightBytes) {
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

/** The last `count` < kAmxUnits units, filled up with zeros. */
template <bool Tall>
void multiplyRest(int64_t rows, int64_t count, const AmxOperand& left, const AmxOperand& right) {
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
  writtenBefore();
  multiplyStep<Tall>(leftUnits[0], leftUnits[kAmxRows], rightUnits[0][0], rightUnits[1][0], 64, 64);
}

template <bool Tall>
void multiply(int64_t rows, int64_t units, AmxOperand left, AmxOperand right, float* sums, int64_t sumsStride,
              bool accumulate, const uint32_t* ahead, int64_t aheadLines) {
  const int64_t sumsBytes = sumsStride * 4, leftBytes = left.stride * 4, rightBytes = right.stride * 4;
  float* secondSums = sums + kAmxRows * sumsStride;
  if (accumulate) {
    _tile_loadd(0, sums, sumsBytes);
    _tile_loadd(1, sums + kAmxRows, sumsBytes);
    if constexpr (Tall) {
      _tile_loadd(2, secondSums, sumsBytes);
      _tile_loadd(3, secondSums + kAmxRows, sumsBytes);
    }
  } else {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
  }
  for (; units >= kAmxUnits; units -= kAmxUnits) {
    for (int64_t line = 0; line < aheadLines; line++, ahead += kAmxUnits) __builtin_prefetch(ahead);
    multiplyStep<Tall>(left.first, left.second, right.first, right.second, leftBytes, rightBytes);
    left.first += left.step;
    left.second += left.step;
    right.first += right.step;
    right.second += right.step;
  }
  if (units > 0) multiplyRest<Tall>(rows, units, left, right);
  _tile_stored(0, sums, sumsBytes);
  _tile_stored(1, sums + kAmxRows, sumsBytes);
  if constexpr (Tall) {
    _tile_stored(2, secondSums, sumsBytes);
    _tile_stored(3, secondSums + kAmxRows, sumsBytes);
  }
}

}  // namespace

bool amxIsAllowed() {
  constexpr long kRequestPermission = 0x1023, kTileData = 18;  // of arch_prctl(2)
  static const bool allowed = syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
  return allowed;
}

void amxMultiply(int64_t rows, int64_t units, const AmxOperand& left, const AmxOperand& right, float* sums,
                 int64_t sumsStride, bool accumulate, const uint32_t* ahead, int64_t aheadLines) {
  configureFor(rows);
  writtenBefore();
  (rows > kAmxRows ? multiply<true> : multiply<false>)(rows, units, left, right, sums, sumsStride, accumulate, ahead,
                                                        aheadLines);
}

void amxTranspose(const uint32_t* from, int64_t stride, int64_t count, uint32_t* to, int64_t toStride) {
  VecBits rows[kLanes];
#pragma GCC unroll 16
  for (int i = 0; i < kLanes; i++) rows[i] = i < count ? loadBits(from + i * stride) : VecBits{};
  transpose(rows);
#pragma GCC unroll 16
  for (int j = 0; j < kLanes; j++) storeBits(to + j * toStride, rows[j]);
}

}  // namespace mixtune

#endif
