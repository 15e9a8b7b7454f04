#include "registers/amx.h"

#if MIXTUNE_AMX

#include <sys/syscall.h>
#include <unistd.h>

#include "registers/transpose.h"

namespace mixtune {

namespace {

/** What LDTILECFG reads (Intel SDM, volume 1, 18.3): for each tile register, its rows and the bytes of each row. */
struct alignas(64) Configuration {
  uint8_t palette = 1, startRow = 0;
  uint8_t reserved[14] = {};
  uint16_t rowBytes[16] = {};
  uint8_t rows[16] = {};
};

}  // namespace

/** Registers 0 to 3 hold two by two blocks of sums, 4 and 5 the left operand, 6 and 7 the right operand. */
void amxConfigure(int64_t rows) {
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
  amxWrittenBefore();
  _tile_loadconfig(&configuration);
  configured = rows;
}

bool amxIsAllowed() {
  constexpr long kRequestPermission = 0x1023, kTileData = 18;  // of arch_prctl(2)
  static const bool allowed = syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
  return allowed;
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
