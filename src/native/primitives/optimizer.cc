// The global gradient norm and AdamW, in place.
#include <cmath>

#include "engine/operations.h"
#include "registers/simd.h"

namespace mixtune {

namespace {
constexpr int64_t kGrain = 16384;
}

/** count, x, sumOfSquares: adds Σ x², summed in float within chunks of fixed size and in double across them. */
void operations::addSquaredNorm(Engine& engine, Arguments& in) {
  const int64_t count = in.integer();
  const float* x = in.read(count);
  float* sumOfSquares = in.write(1);
  double* partial = engine.scratch.take<double>((count + kGrain - 1) / kGrain + 1);
  engine.team.ranges(count, kGrain, [&](int64_t begin, int64_t end, int) {
    Vec total[4] = {};
    int turn = 0;
    forEachVec(end - begin, [&](int64_t i, auto load, auto) {
      const Vec v = load(x + begin + i);
      total[turn++ & 3] += v * v;
    });
    partial[begin / kGrain] = static_cast<double>(sumOfLanes((total[0] + total[1]) + (total[2] + total[3])));
  });
  double total = 0;
  for (int64_t chunk = 0; chunk * kGrain < count; chunk++) total += partial[chunk];
  *sumOfSquares += static_cast<float>(total);
}

/**
 * count, learningRate, beta1, beta2, epsilon, weightDecay, step, maxNorm, parameter, gradient, firstMoment,
 * secondMoment, sumOfSquares. Loshchilov & Hutter 2019, algorithm 2, as PyTorch computes it.
 */
void operations::adamW(Engine& engine, Arguments& in) {
  const int64_t count = in.integer();
  const double learningRate = in.number(), beta1 = in.number(), beta2 = in.number(), epsilon = in.number();
  const double weightDecay = in.number(), step = in.number(), maxNorm = in.number();
  float* parameter = in.write(count);
  const float* gradient = in.read(count);
  float* first = in.write(count);
  float* second = in.write(count);
  const float* sumOfSquares = in.read(1);

  const double norm = maxNorm > 0 ? std::sqrt(static_cast<double>(*sumOfSquares)) : 0;
  const float scale = static_cast<float>(norm > maxNorm ? maxNorm / norm : (norm == norm ? 1.0 : norm));
  const float keep = static_cast<float>(1 - learningRate * weightDecay);
  const float rate = static_cast<float>(learningRate / (1 - std::pow(beta1, step)));
  const float inverseRoot = static_cast<float>(1 / std::sqrt(1 - std::pow(beta2, step)));
  const float b1 = static_cast<float>(beta1), b2 = static_cast<float>(beta2);
  const float c1 = static_cast<float>(1 - beta1), c2 = static_cast<float>(1 - beta2), eps = static_cast<float>(epsilon);

  engine.team.ranges(count, kGrain, [&](int64_t begin, int64_t end, int) {
    forEachVec(end - begin, [&](int64_t offset, auto load, auto store) {
      const int64_t i = begin + offset;
      const Vec g = load(gradient + i) * scale;
      const Vec m = load(first + i) * b1 + g * c1;
      const Vec v = load(second + i) * b2 + g * g * c2;
      store(first + i, m);
      store(second + i, v);
      store(parameter + i, load(parameter + i) * keep - rate * m / (squareRoot(v) * inverseRoot + eps));
    });
  });
}

}  // namespace mixtune
