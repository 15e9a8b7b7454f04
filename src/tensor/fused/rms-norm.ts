import { add, mean, mul, rsqrt, square } from '../primitives.ts';
import { empty } from '../scope.ts';
import { requireFloats, requireMatrix, requireShape } from '../shapes.ts';
import { record } from '../tape.ts';
import type { Tensor } from '../tensor.ts';

/**
 * y = x / √(mean(x²) + eps) · weight, over the last axis (Zhang & Sennrich 2019, eq. 4).
 * x [rows, hidden], weight [hidden] → y [rows, hidden]. Saves 1/rms [rows] for the backward pass.
 * Bytes: 1 read + 1 write of x forward; 2 reads + 1 write backward.
 */
export function rmsNorm(x: Tensor, weight: Tensor, eps: number): Tensor {
  const { fused } = x.backend;
  requireFloats('rmsNorm', x, weight);
  const [rows, hidden] = requireMatrix('rmsNorm', 'x', x);
  requireShape('rmsNorm', 'weight', weight, [hidden]);
  if (!fused.rmsNorm || !fused.rmsNormGradient) return rmsNormComposition(x, weight, eps);
  const y = empty(x.backend, x.shape);
  const inverseRms = empty(x.backend, [rows]);
  fused.rmsNorm(x, weight, y, inverseRms, eps);
  return record([x, weight], y, [x, inverseRms], (dy, gradients) => {
    const [dx, dWeight] = [x, weight].map((input) => gradients.targetIfWanted(input));
    fused.rmsNormGradient?.(dy, x, weight, inverseRms, dx, dWeight);
  });
}

export function rmsNormComposition(x: Tensor, weight: Tensor, eps: number): Tensor {
  return mul(mul(x, rsqrt(add(mean(square(x), [1]), eps))), weight);
}
