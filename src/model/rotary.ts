import type { Rotary } from '../tensor/backends/kernels/self-attention.ts';
import type { ModelConfig } from './config.ts';

/** How queries and keys of a model turn with their position. */
export function rotaryOf({ headDim, ropeTheta }: Pick<ModelConfig, 'headDim' | 'ropeTheta'>): Rotary {
  return defaultRotary(headDim, ropeTheta);
}

/** Frequencies θ^(−2j / headDim) for pair j of a head (Su et al. 2021, as in Llama), in radians a position. */
export function defaultRotary(headDim: number, theta: number): Rotary {
  const half = headDim / 2;
  return { frequencies: Float64Array.from({ length: half }, (_, j) => theta ** (-j / half)), factor: 1 };
}
