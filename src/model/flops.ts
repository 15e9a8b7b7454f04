import type { ModelConfig } from './config.ts';
import { parameterCount } from './parameters.ts';

/** Weights that multiply activations, by config, so that counting them at every step costs nothing. */
const multiplying = new WeakMap<ModelConfig, number>();

function multiplyingWeights(config: ModelConfig): number {
  const { vocabSize, hiddenSize, layers, tieWordEmbeddings } = config;
  const norms = (2 * layers + 1) * hiddenSize;
  const embedding = tieWordEmbeddings ? 0 : vocabSize * hiddenSize;
  const count = multiplying.get(config) ?? parameterCount(config) - norms - embedding;
  multiplying.set(config, count);
  return count;
}

/**
 * Operations that the model itself requires for sequences of these lengths, forward and backward: per token 6 for each
 * parameter that multiplies activations (which counts the head but not the input embedding), and for attention 12 ·
 * layers · hidden · length.
 */
export function trainingFlops(config: ModelConfig, lengths: readonly number[]): number {
  const tokens = lengths.reduce((sum, length) => sum + length, 0);
  const squares = lengths.reduce((sum, length) => sum + length ** 2, 0);
  return 6 * multiplyingWeights(config) * tokens + 12 * config.layers * config.hiddenSize * squares;
}

/** Mean over the tokens of a sequence of this length. */
export const flopsPerToken = (config: ModelConfig, length: number): number => trainingFlops(config, [length]) / length;
