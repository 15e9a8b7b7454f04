import type { Kernels } from '../../kernels/index.ts';
import { adamWKernels } from './adamw.ts';
import { decodingKernels } from './decoding.ts';
import type { Engine } from './engine.ts';
import { gatedMlpKernels } from './gated-mlp.ts';
import { crossEntropyKernels, tokenLogProbsKernels } from './head.ts';
import { linearKernels } from './linear.ts';
import { rmsNormKernels } from './rms-norm.ts';
import { samplingKernels } from './sampling.ts';
import { selfAttentionKernels } from './self-attention.ts';

export type NativeKernels = ReturnType<typeof nativeKernels>;

/** The kernel families of the C++ engine. */
export function nativeKernels(engine: Engine) {
  return {
    linear: linearKernels(engine),
    rmsNorm: rmsNormKernels(engine),
    gatedMlp: gatedMlpKernels(engine),
    selfAttention: selfAttentionKernels(engine),
    tokenLogProbs: tokenLogProbsKernels(engine),
    crossEntropy: crossEntropyKernels(engine),
    decoding: decodingKernels(engine),
    sampling: samplingKernels(engine),
    adamW: adamWKernels(engine),
  } satisfies Kernels;
}
