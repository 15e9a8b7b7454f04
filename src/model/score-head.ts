import { RandomStream } from '../random.ts';
import { mul, reshape, sum } from '../tensor/primitives.ts';
import type { Tensor } from '../tensor/tensor.ts';

/**
 * Weights of a fresh score head, N(0, 1 / (hidden + 1)), so that scores begin with a variance of about 1 (Huang et al.
 * 2024, "The N+ Implementation Details of RLHF with PPO", after OpenAI's code).
 */
export function freshScoreHead(hiddenSize: number, seed: number): Float32Array {
  const random = new RandomStream(seed, 'init/score.weight');
  const std = 1 / Math.sqrt(hiddenSize + 1);
  return Float32Array.from({ length: hiddenSize }, () => std * random.normal());
}

/**
 * Scores of hidden states: hidden [rows, H], head [1, H] → [rows]. One product a row, so it is no matrix product:
 * scores that are close keep their order in backends that round the operands of matrix products.
 */
export function scores(hidden: Tensor, head: Tensor): Tensor {
  return reshape(sum(mul(hidden, head), [1]), [hidden.shape[0]!]);
}
