// A block of a product in tile registers, overlapped with other work of the core.
#pragma once

#include "products/pack.h"

namespace mixtune {

#if MIXTUNE_AMX

/**
 * Prefetches a panel while tiles of the previous one are multiplied: a share of its rows during each tile.
 */
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

/** The rows of a multiplied tile that are not finished yet. */
template <class Epilogue>
struct UnfinishedRows {
  const Epilogue* epilogue;
  int64_t row = 0, end = 0, panel = 0;
  const float* sums = nullptr;

  /** Finishes at most `most` rows; returns false if none were left. */
  bool step(int64_t most) {
    const int64_t count = std::min(most, end - row);
    if (count == 0) return false;
    (*epilogue)(row, count, panel, sums);
    row += count;
    sums += count * kPanel;
    return true;
  }
};

/**
 * Multiplies tiles of rows with panels; each tile is finished in slices while the next one is multiplied. A product has
 * startPanel(panel, next) and multiply(row, count, sums, meanwhile), which calls meanwhile(rows) to finish that many
 * rows of the previous tile.
 */
template <class Product, class Epilogue>
void multiplyTilesAmx(int64_t rows, int64_t panels, int64_t height, Product product, const Epilogue& epilogue) {
  alignas(64) float sums[2][2 * kAmxRows * kPanel];
  UnfinishedRows<Epilogue> unfinished{&epilogue};
  for (int64_t panel = 0, turn = 0; panel < panels; panel++) {
    product.startPanel(panel, std::min(panel + 1, panels - 1));
    for (int64_t row = 0; row < rows; row += height, turn++) {
      const int64_t count = std::min(height, rows - row);
      epilogue.prefetch(row, count, panel);
      product.multiply(row, count, sums[turn % 2], [&](int64_t most) { return unfinished.step(most); });
      unfinished.step(2 * kAmxRows);
      unfinished = {&epilogue, row, row + count, panel, sums[turn % 2]};
    }
  }
  unfinished.step(2 * kAmxRows);
}

/** The product of bfloat16 pairs. panelOf(panel) is the right operand; the next panel is prefetched meanwhile. */
template <class PanelOf>
class PairProduct {
 public:
  PairProduct(int64_t rows, int64_t units, Left<uint32_t> left, int64_t height, PanelOf panelOf)
      : units_(units), left_(left), height_(height), tiles_(divideUp(rows, height)), panelOf_(panelOf) {}

  void startPanel(int64_t panel, int64_t next) {
    right_ = panelOf_(panel);
    next_ = panelOf_(next);
  }

  template <class Meanwhile>
  void multiply(int64_t row, int64_t count, float* sums, const Meanwhile& meanwhile) {
    const int64_t rowsOfStep = 2 * divideUp(kAmxRows, divideUp(units_, kAmxUnits));
    PanelAhead ahead = PanelAhead::forTile(next_, row / height_, tiles_);
    amxMultiply(count, units_, amxRows(left_.from(row)), right_, nullptr, sums, kPanel, [&] {
      ahead.step();
      meanwhile(rowsOfStep);
    });
  }

 private:
  int64_t units_;
  Left<uint32_t> left_;
  int64_t height_, tiles_;
  PanelOf panelOf_;
  AmxOperand right_{}, next_{};
};

#endif

}  // namespace mixtune
