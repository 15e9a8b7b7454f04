// The operations that can be enqueued, by name. Each reads its arguments in the order documented at its definition.
#pragma once

#include "engine/engine.h"

#define MIXTUNE_OPERATIONS(EACH) \
  EACH(fill)                     \
  EACH(unary)                    \
  EACH(binary)                   \
  EACH(select)                   \
  EACH(reduce)                   \
  EACH(matmul)                   \
  EACH(gather)                   \
  EACH(scatterAdd)               \
  EACH(transpose)                \
  EACH(slice)                    \
  EACH(place)                    \
  EACH(addScaled)                \
  EACH(linear)                   \
  EACH(linearInputGradient)      \
  EACH(linearWeightGradient)     \
  EACH(rmsNorm)                  \
  EACH(rmsNormGradient)          \
  EACH(gatedMlp)                 \
  EACH(gatedMlpGradient)         \
  EACH(selfAttention)            \
  EACH(selfAttentionGradient)    \
  EACH(tokenLogProbs)            \
  EACH(tokenLogProbsGradient)    \
  EACH(crossEntropyWithGradient) \
  EACH(cachedSelfAttention)      \
  EACH(decoderLayer)             \
  EACH(nextLogits)               \
  EACH(sampleTokens)             \
  EACH(drawnTokens)              \
  EACH(addSquaredNorm)           \
  EACH(adamW)                    \
  EACH(forgetPacked)

namespace mixtune {

namespace operations {
#define MIXTUNE_DECLARE(name) void name(Engine& engine, Arguments& in);
MIXTUNE_OPERATIONS(MIXTUNE_DECLARE)
#undef MIXTUNE_DECLARE
}  // namespace operations

struct NamedOperation {
  const char* name;
  Operation run;
};

#define MIXTUNE_ROW(name) {#name, operations::name},
constexpr NamedOperation kOperations[] = {MIXTUNE_OPERATIONS(MIXTUNE_ROW)};
#undef MIXTUNE_ROW
constexpr int kOperationCount = sizeof(kOperations) / sizeof(kOperations[0]);

}  // namespace mixtune
