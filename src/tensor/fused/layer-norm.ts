import { add, mean, mul, rsqrt, square, sub } from '../primitives.ts';
import { requireFloats, requireMatrix, requireShape } from '../shapes.ts';
import type { Tensor } from '../tensor.ts';

/**
 * y = (x − mean(x)) / √(mean((x − mean(x))²) + eps) · weight + bias, over the last axis (Ba et al. 2016, eq. 4).
 * x [rows, hidden], weight and bias [hidden] → y [rows, hidden].
 */
export function layerNorm(x: Tensor, weight: Tensor, bias: Tensor, eps: number): Tensor {
  requireFloats('layerNorm', x, weight, bias);
  const [, hidden] = requireMatrix('layerNorm', 'x', x);
  requireShape('layerNorm', 'weight', weight, [hidden]);
  requireShape('layerNorm', 'bias', bias, [hidden]);
  const centred = sub(x, mean(x, [1]));
  const normed = mul(centred, rsqrt(add(mean(square(centred), [1]), eps)));
  return add(mul(normed, weight), bias);
}
