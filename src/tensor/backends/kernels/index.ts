import type { AdamWKernels } from './adamw.ts';
import type { DecodingKernels } from './decoding.ts';
import type { GatedMlpKernels } from './gated-mlp.ts';
import type { CrossEntropyKernels, TokenLogProbsKernels } from './head.ts';
import type { LinearKernels } from './linear.ts';
import type { RmsNormKernels } from './rms-norm.ts';
import type { SamplingKernels } from './sampling.ts';
import type { SelfAttentionKernels } from './self-attention.ts';

/**
 * Fused kernels by family. A backend has a family as a whole, a kernel with its gradient, or not at all. Each is held
 * to its composition in primitives (`src/tensor/fused/`), which runs where it is missing, by the contract test. Rows
 * are tokens of all sequences, one after the other.
 */
export interface KernelFamilies {
  linear: LinearKernels;
  rmsNorm: RmsNormKernels;
  gatedMlp: GatedMlpKernels;
  selfAttention: SelfAttentionKernels;
  tokenLogProbs: TokenLogProbsKernels;
  crossEntropy: CrossEntropyKernels;
  decoding: DecodingKernels;
  sampling: SamplingKernels;
  adamW: AdamWKernels;
}

export type Kernels = Readonly<Partial<KernelFamilies>>;
