// Products of bfloat16 pairs in the tile registers of AMX: sixteen rows of sixteen units, or of sixteen sums, each.
#pragma once

#include "simd.h"

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

/** True where the system lets this process use the tile registers; asks it the first time. */
bool amxIsAllowed();

/**
 * Two tiles of an operand, side by side along rows (of the left operand) or columns (of the right one): rows of units
 * `stride` apart, and `step` units from kAmxUnits terms of the inner dimension to the next. A row of the left operand is a
 * row of the product; a row of the right one is a unit of the inner dimension.
 */
struct AmxOperand {
  const uint32_t* first;
  const uint32_t* second;
  int64_t stride, step;
};

/**
 * sums [rows, 2 · kAmxRows] (+)= left · right for up to 2 · kAmxRows rows; rows of sums are `sumsStride` apart. `ahead`, if
 * not null: what to fetch meanwhile, `aheadLines` lines for each kAmxUnits.
 */
void amxMultiply(int64_t rows, int64_t units, const AmxOperand& left, const AmxOperand& right, float* sums,
                 int64_t sumsStride, bool accumulate, const uint32_t* ahead = nullptr, int64_t aheadLines = 0);

/** Sixteen rows of sixteen units, `stride` apart, as sixteen columns: to[j][i] = from[i][j]; rows from `count` on are zero. */
void amxTranspose(const uint32_t* from, int64_t stride, int64_t count, uint32_t* to, int64_t toStride);

#endif

}  // namespace mixtune
