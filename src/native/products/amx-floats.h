// Products of floats in tile registers, which only multiply bfloat16: a float is represented as the sum of three.
#pragma once

#include "products/amx-tiles.h"
#include "products/epilogue.h"
#include "engine/memory.h"

namespace mixtune {

#if MIXTUNE_AMX

constexpr int kFloatParts = 3, kFloatProducts = 6;
/** Terms of the inner dimension that one instruction multiplies. */
constexpr int64_t kStepTerms = 2 * kAmxUnits;
constexpr int64_t kTileUnits = kAmxRows * kAmxUnits;
/** Units of two tiles of an operand for one step, in three parts: [part][tile][kAmxRows][kAmxUnits]. */
constexpr int64_t kSplitStep = kFloatParts * 2 * kTileUnits;

/**
 * Splits floats into parts of decreasing magnitude, as units that pair them, to[part · 2 · kTileUnits + lane]. The sum
 * of the parts is exact, except below the smallest normal float; infinity becomes NaN.
 */
inline void splitPairs(Vec even, Vec odd, uint32_t* to) {
#pragma GCC unroll 3
  for (int part = 0; part < kFloatParts; part++, to += 2 * kTileUnits) {
    const VecBits pairs = bfloat16Pairs(even, odd);
    storeBits(to, pairs);
    even -= (Vec)(pairs << 16);
    odd -= (Vec)(pairs & 0xffff0000u);
  }
}

/**
 * Sums of products of floats. Of the nine products of parts, six are computed: the others are below 2⁻²³ of the whole,
 * and rounding to float once is 2⁻²⁴ (XLA calls this BF16_BF16_F32_X6). In this order each product needs only one new
 * operand, which saves loads.
 */
template <bool Tall>
struct SplitSums : AmxSums<Tall> {
  template <class Between>
  static void multiply(int64_t steps, const uint32_t* left, const uint32_t* right, const Between& between) {
    for (int64_t s = 0; s < steps; s++, left += kSplitStep, right += kSplitStep) {
      loadLeft(left, 0);
      loadRight(right, 2);
      add(between);
      loadRight(right, 1);
      add(between);
      loadLeft(left, 1);
      add(between);
      loadRight(right, 0);
      add(between);
      loadLeft(left, 2);
      add(between);
      loadLeft(left, 0);
      add(between);
    }
  }

 private:
  static void loadLeft(const uint32_t* step, int64_t part) {
    _tile_loadd(4, step + part * 2 * kTileUnits, 64);
    if constexpr (Tall) _tile_loadd(5, step + (part * 2 + 1) * kTileUnits, 64);
  }
  static void loadRight(const uint32_t* step, int64_t part) {
    _tile_loadd(6, step + part * 2 * kTileUnits, 64);
    _tile_loadd(7, step + (part * 2 + 1) * kTileUnits, 64);
  }
  template <class Between>
  static void add(const Between& between) {
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    if constexpr (Tall) {
      _tile_dpbf16ps(2, 5, 6);
      _tile_dpbf16ps(3, 5, 7);
    }
    between();
  }
};

inline int64_t splitSteps(int64_t terms) { return divideUp(terms, kStepTerms); }

/** Maximum number of terms that are split at a time: 256 rows of them take half of the second-level cache. */
constexpr int64_t kSplitTerms = 768;

/** Number of terms per pass, for as few passes as possible. */
inline int64_t termsOfPass(int64_t terms) {
  return splitSteps(divideUp(terms, divideUp(terms, kSplitTerms))) * kStepTerms;
}

/**
 * Splits rows of floats into tiles [rows / (2 · kAmxRows)][step][kSplitStep]. Rows beyond the last are undefined, terms
 * beyond the last are zero.
 */
void splitRows(Left<float> left, int64_t rows, int64_t terms, uint32_t* to);

/** Splits columns [column, column + count) of token panels into tiles as splitRows does, for terms from `first`. */
void splitColumns(const TokenPanels<Float>& panels, int64_t column, int64_t count, int64_t first, int64_t terms,
                  uint32_t* to);

/** Twice kAmxRows columns of a right operand, with term k of each at k · stride. */
struct FloatPanel {
  const float* first;
  const float* second;
  int64_t stride;
};

/** Splits a panel in advance, a few rows of its tiles at a time. */
struct SplitAhead {
  static constexpr int64_t kRowsOfStep = 2 * kAmxUnits;
  static constexpr int64_t kTermsAhead = 2 * kStepTerms;  // far enough to hide the latency of memory

  FloatPanel panel;
  int64_t terms;
  uint32_t* to;
  int64_t row = 0;

  void step(int64_t most) {
    const int64_t last = std::min(row + most, splitSteps(terms) * kRowsOfStep);
    for (; row < last; row++) {
      const int64_t step = row / kRowsOfStep, tile = row % 2, unit = row % kRowsOfStep / 2,
                    k = step * kStepTerms + unit;
      const float* data = tile == 0 ? panel.first : panel.second;
      __builtin_prefetch(data + (k + kTermsAhead) * panel.stride);
      __builtin_prefetch(data + (k + kTermsAhead + kAmxUnits) * panel.stride);
      splitPairs(term(data, k), term(data, k + kAmxUnits),
                 to + step * kSplitStep + tile * kTileUnits + unit * kAmxUnits);
    }
  }

 private:
  Vec term(const float* data, int64_t k) const { return k < terms ? load(data + k * panel.stride) : Vec{}; }
};

/**
 * The product of floats: the left operand is already split, and each panel is split while the previous one is
 * multiplied.
 */
template <class PanelOf>
class FloatProduct {
 public:
  static constexpr int64_t kHeight = 2 * kAmxRows;

  FloatProduct(int64_t rows, int64_t terms, const uint32_t* left, PanelOf panelOf, Scratch& scratch)
      : terms_(terms), steps_(splitSteps(terms)), left_(left), panelOf_(panelOf) {
    for (auto& split : split_) split = scratch.take<uint32_t>(steps_ * kSplitStep);
    const int64_t turns = kFloatProducts * steps_, free = turns - divideUp(kHeight, finishedAtOnce());
    splitAtOnce_ = divideUp(steps_ * SplitAhead::kRowsOfStep, std::max<int64_t>(1, divideUp(rows, kHeight) * free));
    ahead_ = {panelOf(0), terms, split_[0]};
  }

  void startPanel(int64_t panel, int64_t next) {
    ahead_.step(steps_ * SplitAhead::kRowsOfStep);
    right_ = split_[panel % 2];
    ahead_ = {panelOf_(next), next > panel ? terms_ : 0, split_[1 - panel % 2]};
  }

  /**
   * Between two products of parts, either a few rows of the previous tile are finished or a few of the next panel
   * split.
   */
  template <class Meanwhile>
  void multiply(int64_t row, int64_t count, float* sums, const Meanwhile& meanwhile) {
    amxConfigure(kHeight);
    amxWrittenBefore();
    const uint32_t* left = left_ + row / kHeight * steps_ * kSplitStep;
    const auto run = [&](auto tile) {
      tile.clear();
      tile.multiply(steps_, left, right_, [&] {
        if (!meanwhile(finishedAtOnce())) ahead_.step(splitAtOnce_);
      });
      tile.store(sums, kPanel);
    };
    count > kAmxRows ? run(SplitSums<true>()) : run(SplitSums<false>());
  }

 private:
  int64_t finishedAtOnce() const { return 2 * divideUp(kAmxRows, kFloatProducts * steps_); }

  int64_t terms_, steps_;
  const uint32_t* left_;
  PanelOf panelOf_;
  uint32_t* split_[2];
  const uint32_t* right_ = nullptr;
  int64_t splitAtOnce_;
  SplitAhead ahead_{};
};

/** Epilogue of the last of several passes over the inner dimension: adds the sums of the earlier passes. */
template <class Epilogue>
struct EpiloguePasses {
  const Epilogue& epilogue;
  const float* before;
  int64_t columns;

  void prefetch(int64_t row, int64_t count, int64_t panel) const { epilogue.prefetch(row, count, panel); }
  void operator()(int64_t row, int64_t count, int64_t panel, const float* sums) const {
    alignas(64) float whole[2 * kAmxRows * kPanel];
    for (int64_t r = 0; r < count; r++)
      for (int64_t i = 0; i < kPanel; i += kLanes)
        store(whole + r * kPanel + i,
              load(sums + r * kPanel + i) + load(before + (row + r) * columns + panel * kPanel + i));
    epilogue(row, count, panel, whole);
  }
};

/** multiplyTiles for floats, in tile registers. */
template <class Epilogue>
void multiplyFloatTiles(int64_t rows, int64_t panels, int64_t terms, Left<float> left, const float* right,
                        int64_t stride, Scratch& scratch, const Epilogue& epilogue) {
  const ScratchFrame frame(scratch);
  const int64_t most = termsOfPass(terms), columns = panels * kPanel;
  uint32_t* split = scratch.take<uint32_t>(divideUp(rows, 2 * kAmxRows) * splitSteps(most) * kSplitStep);
  float* before = terms > most ? scratch.take<float>(rows * columns) : nullptr;
  for (int64_t k = 0; k < terms; k += most) {
    const int64_t count = std::min(most, terms - k);
    splitRows({left.data + k, left.stride}, rows, count, split);
    const auto pass = [&](const auto& epiloguePass) {
      const ScratchFrame ofPass(scratch);
      const auto panelOf = [&](int64_t panel) {
        const float* first = right + panel * stride + k * kPanel;
        return FloatPanel{first, first + kLanes, kPanel};
      };
      multiplyTilesAmx(rows, panels, 2 * kAmxRows, FloatProduct(rows, count, split, panelOf, scratch), epiloguePass);
    };
    if (k + count < terms)
      pass(StoreFloats(before, rows, columns, k > 0));
    else if (k > 0)
      pass(EpiloguePasses<Epilogue>{epilogue, before, columns});
    else
      pass(epilogue);
  }
}
#endif

}  // namespace mixtune
