import { add, mean, mul, rsqrt, square } from '../primitives.ts';
import { empty } from '../scope.ts';
import { requireFloats, requireMatrix, requireShape } from '../shapes.ts';
import { record } from '../tape.ts';
import type { Tensor } from '../tensor.ts';

/**
 * y = x / √(mean(x²) + eps) · weight, over the last axis (Zhang & Sennrich 2019, eq. 4).
 * x [rows, hidden], weight [hidden] → y [rows, hidden]. Saves 1/rms [rows] for the backward pass.
 * Memory traffic: 1 read + 1 write of the size of x forward; 2 reads + 1 write backward.
 */
export function rmsNorm(x: Tensor, weight: Tensor, eps: number): Tensor {
  const kernels = x.backend.kernels.rmsNorm;
  requireFloats('rmsNorm', x, weight);
  const [rows, hidden] = requireMatrix('rmsNorm', 'x', x);
  requireShape('rmsNorm', 'weight', weight, [hidden]);
  if (!kernels) return rmsNormComposition(x, weight, eps);
  const y = empty(x.backend, x.shape);
  const inverseRms = empty(x.backend, [rows]);
  kernels.forward(x, { weight, eps }, y, inverseRms);
  return record([x, weight], y, [x, inverseRms], (dy, gradients) => {
    const into = { x: gradients.targetIfWanted(x), weight: gradients.targetIfWanted(weight) };
    kernels.gradient(dy, { x, weight, inverseRms }, into);
  });
}

export function rmsNormComposition(x: Tensor, weight: Tensor, eps: number): Tensor {
  return mul(mul(x, rsqrt(add(mean(square(x), [1]), eps))), weight);
}
