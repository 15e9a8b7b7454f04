// Operations on arrays of equal shape.
#include <cstring>

#include "engine/operations.h"
#include "registers/simd.h"

namespace mixtune {

namespace {

constexpr int64_t kGrain = 16384;

enum Unary { kNegate, kExponential, kLogarithm, kSigmoid, kReciprocalRoot, kCopy };

template <class Function>
void apply(Engine& engine, int64_t count, const float* x, float* out, const Function& function) {
  engine.team.ranges(count, kGrain, [&](int64_t begin, int64_t end, int) {
    forEachVec(end - begin,
               [&](int64_t i, auto load, auto store) { store(out + begin + i, function(load(x + begin + i))); });
  });
}

}  // namespace

/** count, bits of the value as a 32-bit word, out. */
void operations::fill(Engine& engine, Arguments& in) {
  const int64_t count = in.integer();
  const uint32_t word = static_cast<uint32_t>(in.integer());
  uint32_t* out = in.write<uint32_t>(count);
  engine.team.ranges(count, kGrain, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; i++) out[i] = word;
  });
}

/** kind, count, x, out. */
void operations::unary(Engine& engine, Arguments& in) {
  const int64_t kind = in.integer(), count = in.integer();
  const float* x = in.read(count);
  float* out = in.write(count);
  switch (kind) {
    case kNegate:
      return apply(engine, count, x, out, [](Vec v) { return -v; });
    case kExponential:
      return apply(engine, count, x, out, [](Vec v) { return exponential(v); });
    case kLogarithm:
      return apply(engine, count, x, out, [](Vec v) { return logarithm(v); });
    case kSigmoid:
      return apply(engine, count, x, out, [](Vec v) { return sigmoid(v); });
    case kReciprocalRoot:
      return apply(engine, count, x, out, [](Vec v) { return 1.0f / squareRoot(v); });
    case kCopy:
      engine.team.ranges(count, kGrain, [&](int64_t begin, int64_t end, int) {
        std::memmove(out + begin, x + begin, static_cast<size_t>(end - begin) * sizeof(float));
      });
      return;
    default:
      throw std::runtime_error("unknown kind of operation");
  }
}

/** count, factor, x, out: out += factor · x. */
void operations::addScaled(Engine& engine, Arguments& in) {
  const int64_t count = in.integer();
  const float factor = in.real();
  const float* x = in.read(count);
  float* out = in.write(count);
  engine.team.ranges(count, kGrain, [&](int64_t begin, int64_t end, int) {
    forEachVec(end - begin, [&](int64_t i, auto load, auto store) {
      store(out + begin + i, load(out + begin + i) + factor * load(x + begin + i));
    });
  });
}

}  // namespace mixtune
