import type { Rotary } from '../tensor/backends/kernels/self-attention.ts';

/** Frequencies θ^(−2j / headDim) for pair j of a head (Su et al. 2021, as in Llama), in radians a position. */
export function defaultRotary(headDim: number, theta: number): Rotary {
  const half = headDim / 2;
  return { frequencies: Float64Array.from({ length: half }, (_, j) => theta ** (-j / half)), factor: 1 };
}

/** No rotation at any position (NoPE, Kazemnejad et al. 2023). */
export function noRotary(headDim: number): Rotary {
  return { frequencies: new Float64Array(headDim / 2), factor: 1 };
}
