import type { Tensor } from '../../tensor.ts';
import type { Gradients } from './gradient.ts';

/** The factors of the product with the output head, and the column that is the target of each row. */
export interface HeadInputs {
  /** [rows, H] */
  hidden: Tensor;
  /** [V, H] */
  head: Tensor;
  /** [rows] (i32); rows with −1 are skipped, and their log-probability is 0. */
  targets: Tensor;
}

/** log softmax(hidden · headᵀ)[target] of each row, without an array of [rows, vocabulary]. */
export interface TokenLogProbsKernels {
  /** → logProbs [rows], logSumExp [rows]. */
  forward(inputs: HeadInputs, logProbs: Tensor, logSumExp: Tensor): void;
  gradient(dLogProbs: Tensor, inputs: HeadInputs, logSumExp: Tensor, into: Gradients<'hidden' | 'head'>): void;
}

export interface CrossEntropyKernels {
  /**
   * loss [1] = −Σ weights[i] · log softmax(hidden · headᵀ)[targets[i]]. Its gradients, for an upstream gradient of 1,
   * are computed in the same pass over the vocabulary.
   */
  withGradient(inputs: HeadInputs, weights: Tensor, loss: Tensor, into: Gradients<'hidden' | 'head'>): void;
}
