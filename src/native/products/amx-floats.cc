#include "products/amx-floats.h"

#if MIXTUNE_AMX

#include "registers/transpose.h"

namespace mixtune {

namespace {

/** The terms of a row from k, with zeros beyond the last. */
Vec termsFrom(const float* row, int64_t k, int64_t terms) {
  return k + kLanes <= terms ? load(row + k) : loadPart(row + k, std::max<int64_t>(terms - k, 0));
}

uint32_t* tileOf(uint32_t* tiles, int64_t row, int64_t steps) {
  return tiles + row / (2 * kAmxRows) * steps * kSplitStep + row / kAmxRows % 2 * kTileUnits;
}

}  // namespace

void splitRows(Left<float> left, int64_t rows, int64_t terms, uint32_t* to) {
  const int64_t steps = splitSteps(terms);
  for (int64_t row = 0; row < rows; row += kAmxRows) {
    uint32_t* tile = tileOf(to, row, steps);
    for (int64_t s = 0; s < steps; s++, tile += kSplitStep)
      for (int64_t r = 0; r < std::min(kAmxRows, rows - row); r++) {
        const float* from = left.from(row + r).data;
        const int64_t k = s * kStepTerms;
        splitPairs(termsFrom(from, k, terms), termsFrom(from, k + kAmxUnits, terms), tile + r * kAmxUnits);
      }
  }
}

void splitColumns(const TokenPanels<Float>& panels, int64_t column, int64_t count, int64_t first, int64_t terms,
                  uint32_t* to) {
  const int64_t steps = splitSteps(terms);
  const auto turned = [&](const float* data, int64_t k, VecBits(&columns)[kLanes]) {
    for (int64_t i = 0; i < kLanes; i++)
      columns[i] = k + i < terms ? loadBits(data + (first + k + i) * kLanes) : VecBits{};
    transpose(columns);
  };
  for (int64_t row = 0; row < count; row += kAmxRows) {
    const float* data = panels.data + (column + row) / kLanes * panels.stride;
    uint32_t* tile = tileOf(to, row, steps);
    for (int64_t s = 0; s < steps; s++, tile += kSplitStep) {
      VecBits even[kLanes], odd[kLanes];
      turned(data, s * kStepTerms, even);
      turned(data, s * kStepTerms + kAmxUnits, odd);
      for (int r = 0; r < kLanes; r++) splitPairs((Vec)even[r], (Vec)odd[r], tile + r * kAmxUnits);
    }
  }
}

}  // namespace mixtune

#endif
