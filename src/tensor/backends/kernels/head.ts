import type { Tensor } from '../../tensor.ts';
import type { Gradients } from './gradient.ts';

/** The product with the output head, and which of its columns are meant. */
export interface HeadInputs {
  /** [rows, H] */
  hidden: Tensor;
  /** [V, H] */
  head: Tensor;
  /** [rows] (i32); −1 = skipped, which counts as 0. */
  targets: Tensor;
}

/** log softmax(hidden · headᵀ)[target] of each row, without holding [rows, vocabulary]. */
export interface TokenLogProbsKernels {
  /** → logProbs [rows], logSumExp [rows]. */
  forward(inputs: HeadInputs, logProbs: Tensor, logSumExp: Tensor): void;
  gradient(dLogProbs: Tensor, inputs: HeadInputs, logSumExp: Tensor, into: Gradients<'hidden' | 'head'>): void;
}

export interface CrossEntropyKernels {
  /**
   * loss [1] = −Σ weights[i] · log softmax(hidden · headᵀ)[targets[i]], with its gradients for an upstream gradient of
   * 1 computed in the same pass over the vocabulary.
   */
  withGradient(inputs: HeadInputs, weights: Tensor, loss: Tensor, into: Gradients<'hidden' | 'head'>): void;
}
