// Matrices of terms between products: one product writes them, others read them as their left operand.
#pragma once

#include "products/pack.h"

namespace mixtune {

/**
 * An operand [rows, columns]. A row consists of pieces of kPanel columns: rows are `stride` units apart, the pieces of
 * a row `step` units. For vector registers the pieces of a row are contiguous. For tile registers the same piece of all
 * rows is contiguous, so that a tile is contiguous memory, which can be prefetched; a padding after it puts
 * neighbouring pieces into different halves of the sets of the first-level cache. Terms beyond the columns are
 * undefined.
 */
template <class T>
struct OperandRows {
  using Unit = typename T::Unit;
  static constexpr bool kPiecesTogether = MIXTUNE_AMX && T::kTerms == 2;
  static constexpr int64_t kPieceUnits = kPanel / T::kTerms;

  Unit* data;
  int64_t stride, step;
  /** Whether it is written past the caches. */
  bool streamed;

  OperandRows(Unit* data, int64_t rows, int64_t columns)
      : data(data),
        stride(kPiecesTogether ? kPieceUnits : divideUp(columns, kPanel) * kPieceUnits),
        step(kPiecesTogether ? pieceStep(rows) : kPieceUnits),
        streamed(leavesCaches(sizeOf(rows, columns) * 4)) {}

  static int64_t sizeOf(int64_t rows, int64_t columns) {
    return divideUp(columns, kPanel) * (kPiecesTogether ? pieceStep(rows) : rows * kPieceUnits);
  }

  Left<Unit> left() const { return {data, stride, step}; }

  /** Loads terms [column, column + count) of a row as floats, with zeros beyond. */
  Vec load(int64_t row, int64_t column, int64_t count = kLanes) const {
    const Unit* from = piece(row, column);
    const int64_t within = column % kPanel, here = kPanel - within;
    if (!kPiecesTogether || count <= here)
      return count == kLanes ? loadTerms<T>(from, within) : loadTerms<T>(from, within, count);
    uint16_t terms[kLanes] = {};
    copyTerms(terms, halves(from) + within, here);
    copyTerms(terms + here, halves(piece(row, column + here)), count - here);
    return loadTerms<T>(reinterpret_cast<const Unit*>(terms), 0);
  }

  /** Stores floats as terms [column, column + count) of a row. */
  void store(int64_t row, int64_t column, Vec x, int64_t count = kLanes) const {
    Unit* to = piece(row, column);
    const int64_t within = column % kPanel, here = kPanel - within;
    if (!kPiecesTogether || count <= here)
      return count == kLanes ? storeTerms<T>(to, within, x) : storeTerms<T>(to, within, x, count);
    Unit whole[kLanes];
    storeTerms<T>(whole, 0, x);
    copyTerms(halves(to) + within, halves(whole), here);
    copyTerms(halves(piece(row, column + here)), halves(whole) + here, count - here);
  }

#if defined(__AVX512BF16__)
  /** Loads a whole piece of two rows as units that pair their terms; without `paired` the second row is zero. */
  void pairs(int64_t row, bool paired, int64_t column, VecBits& first, VecBits& second) const {
    const __m512i order = _mm512_set_epi16(47, 15, 46, 14, 45, 13, 44, 12, 43, 11, 42, 10, 41, 9, 40, 8, 39, 7, 38, 6,
                                           37, 5, 36, 4, 35, 3, 34, 2, 33, 1, 32, 0);
    const __m512i even = (__m512i)loadBits(piece(row, column));
    const __m512i odd = paired ? (__m512i)loadBits(piece(row + 1, column)) : _mm512_setzero_si512();
    first = (VecBits)_mm512_permutex2var_epi16(even, order, odd);
    second = (VecBits)_mm512_permutex2var_epi16(even, _mm512_add_epi16(order, _mm512_set1_epi16(16)), odd);
  }
#endif

  /** Stores a whole piece. */
  void storePiece(int64_t row, int64_t column, Vec first, Vec second) const {
    storePanelTerms<T>(piece(row, column), 0, first, second, streamed);
  }

  /** Stores an array of floats as terms [column, column + count) of a row. */
  void storeRow(int64_t row, int64_t column, const float* x, int64_t count) const {
    int64_t k = 0;
    for (; column % kPanel == 0 && k + kPanel <= count; k += kPanel)
      storePiece(row, column + k, mixtune::load(x + k), mixtune::load(x + k + kLanes));
    for (; k < count; k += kLanes) {
      const int64_t here = std::min<int64_t>(kLanes, count - k);
      store(row, column + k, here == kLanes ? mixtune::load(x + k) : loadPart(x + k, here), here);
    }
  }

  void prefetch(int64_t row, int64_t column) const { __builtin_prefetch(piece(row, column)); }
  void prefetchForWriting(int64_t row, int64_t column) const { __builtin_prefetch(piece(row, column), 1); }

 private:
  Unit* piece(int64_t row, int64_t column) const { return data + row * stride + column / kPanel * step; }

  static int64_t pieceStep(int64_t rows) {
    constexpr int64_t kSets = 4096 / sizeof(Unit);
    const int64_t units = rows * kPieceUnits;
    return units < kSets ? units + kPieceUnits : divideUp(units - kSets / 2, kSets) * kSets + kSets / 2;
  }

  static uint16_t* halves(Unit* units) { return reinterpret_cast<uint16_t*>(units); }
  static const uint16_t* halves(const Unit* units) { return reinterpret_cast<const uint16_t*>(units); }
  static void copyTerms(uint16_t* to, const uint16_t* from, int64_t count) {
    std::memcpy(to, from, static_cast<size_t>(count) * sizeof(uint16_t));
  }
};

}  // namespace mixtune
