import type { AdamWKernels } from './adamw.ts';
import type { DecodingKernels } from './decoding.ts';
import type { GatedMlpKernels } from './gated-mlp.ts';
import type { CrossEntropyKernels, TokenLogProbsKernels } from './head.ts';
import type { LinearKernels } from './linear.ts';
import type { RmsNormKernels } from './rms-norm.ts';
import type { SamplingKernels } from './sampling.ts';
import type { SelfAttentionKernels } from './self-attention.ts';

/**
 * Fused kernels by family. A backend either has all kernels of a family, including gradients, or none. If it has none,
 * the composition of primitives in `src/tensor/fused/` runs instead; the contract test compares kernels with their
 * compositions. Rows are the tokens of all sequences, concatenated.
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
