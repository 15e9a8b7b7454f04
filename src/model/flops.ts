import type { ModelConfig } from './config.ts';
import { checkpointTensors } from './parameters.ts';
import type { Part } from './part.ts';

/** Weights that multiply activations, by config, so that counting them at every step costs nothing. */
const multiplying = new WeakMap<ModelConfig, number>();

function multiplyingWeights(config: ModelConfig): number {
  const known = multiplying.get(config);
  if (known !== undefined) return known;
  const isMatrix = ({ name, shape }: Part): boolean =>
    shape.length === 2 && (config.tieWordEmbeddings || name !== 'model.embed_tokens.weight');
  const count = checkpointTensors(config)
    .filter(isMatrix)
    .reduce((sum, { shape: [rows, columns] }) => sum + rows! * columns!, 0);
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
