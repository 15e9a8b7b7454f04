// A block of a product in tile registers, with what else a core can do meanwhile.
#pragma once

#include "pack.h"

namespace mixtune {

#if MIXTUNE_AMX

/** Asks for a panel while tiles of the one before it are multiplied: the same rows of each step, others for each tile. */
struct PanelAhead {
  AmxOperand panel{};
  int64_t rows = 0;

  static PanelAhead forTile(const AmxOperand& panel, int64_t tile, int64_t tiles) {
    const int64_t rows = divideUp(kAmxUnits, tiles), first = tile * rows * panel.stride;
    if (tile * rows >= kAmxUnits) return {};
    return {{panel.first + first, panel.second + first, panel.stride, panel.step}, rows};
  }

  void step() {
    constexpr int kSecondLevel = 2;
    for (int64_t r = 0; r < rows; r++) {
      __builtin_prefetch(panel.first + r * panel.stride, 0, kSecondLevel);
      __builtin_prefetch(panel.second + r * panel.stride, 0, kSecondLevel);
    }
    panel.first += panel.step;
    panel.second += panel.step;
  }
};

/** Rows of a tile that was multiplied, as far as they are not finished yet. */
template <class Finish>
struct UnfinishedRows {
  const Finish* finish;
  int64_t row = 0, end = 0, panel = 0;
  const float* sums = nullptr;

  void step(int64_t most) {
    const int64_t count = std::min(most, end - row);
    if (count == 0) return;
    (*finish)(row, count, panel, sums);
    row += count;
    sums += count * kPanel;
  }
};

/**
 * multiplyTiles in tile registers, which leave time for two things: to finish a tile while the next one is multiplied, and
 * to fetch the next panel. panelOf(panel) is the right operand.
 */
template <class PanelOf, class Finish>
void multiplyTilesAmx(int64_t rows, int64_t panels, int64_t units, Left<uint32_t> left, const PanelOf& panelOf,
                      int64_t height, const Finish& finish) {
  alignas(64) float sums[2][2 * kAmxRows * kPanel];
  const int64_t rowsOfStep = 2 * divideUp(kAmxRows, divideUp(units, kAmxUnits)), tiles = divideUp(rows, height);
  UnfinishedRows<Finish> unfinished{&finish};
  for (int64_t panel = 0, turn = 0; panel < panels; panel++) {
    const AmxOperand right = panelOf(panel), next = panelOf(std::min(panel + 1, panels - 1));
    for (int64_t tile = 0; tile < tiles; tile++, turn++) {
      const int64_t row = tile * height, count = std::min(height, rows - row);
      PanelAhead ahead = PanelAhead::forTile(next, tile, tiles);
      finish.prefetch(row, count, panel);
      amxMultiply(count, units, amxRows(left.from(row)), right, nullptr,
                  sums[turn % 2], kPanel, [&] {
                    ahead.step();
                    unfinished.step(rowsOfStep);
                  });
      unfinished.step(2 * kAmxRows);
      unfinished = {&finish, row, row + count, panel, sums[turn % 2]};
    }
  }
  unfinished.step(2 * kAmxRows);
}

#endif

}  // namespace mixtune
