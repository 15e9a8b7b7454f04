// Matrix products on all threads of the team, in the precision of the engine.
#pragma once

#include "engine.h"
#include "pack.h"

namespace mixtune {

/** A float matrix whose element (i, j) is data[i · stride + j], or data[j · stride + i] when transposed. */
struct Matrix {
  const float* data;
  int64_t stride;
  bool transposed;
};

/** Calls run(kind), where kind is the Float, RoundedFloat or Bfloat16 that the engine's products are made of. */
template <class Run>
void inPrecision(const Engine& engine, const Run& run) {
  switch (engine.products) {
    case Products::kFloat:
      return run(Float{});
    case Products::kRoundedFloat:
      return run(RoundedFloat{});
    case Products::kBfloat16:
#if defined(__AVX512BF16__)
      return run(Bfloat16{});
#else
      throw std::runtime_error("this processor has no products in bfloat16");
#endif
  }
}

/** The rows of a left operand as units: the data itself in float, else a copy in scratch. */
template <class T>
Left<typename T::Unit> leftRows(Engine& engine, const float* data, int64_t stride, int64_t rows, int64_t depth);

/** The panels of a weight block as the right operand [depth, columns], packed again if the block was written to. */
template <class T>
const typename T::Unit* weightPanels(Engine& engine, Block* weight, PackedCopy Block::* copy, int64_t depth,
                                     int64_t columns);

/** out [rows, columns] (+)= left [rows, depth] · right [depth, columns]. */
void multiply(Engine& engine, int64_t rows, int64_t columns, int64_t depth, Matrix left, Matrix right, float* out,
              int64_t outStride, bool accumulate);

/**
 * out [rows, columns] (+)= left [rows, depth] · right, where `right` is a weight block whose panels are kept in `copy`
 * until the block is written to.
 */
void multiplyByWeight(Engine& engine, int64_t rows, int64_t columns, int64_t depth, Matrix left, Block* weight,
                      PackedCopy Block::* copy, float* out, int64_t outStride, bool accumulate);

}  // namespace mixtune
