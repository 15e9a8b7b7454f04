import { matmul } from '../primitives.ts';
import { empty } from '../scope.ts';
import { requireFloats, requireMatrix, requireShape, resultShape } from '../shapes.ts';
import { record } from '../tape.ts';
import type { Tensor } from '../tensor.ts';

/**
 * y = x · wᵀ. x [rows, in], w [out, in] → y [rows, out].
 * 2 · rows · in · out flops forward, twice that backward; products in the backend's precision.
 */
export function linear(x: Tensor, w: Tensor): Tensor {
  const kernels = x.backend.kernels.linear;
  requireFloats('linear', x, w);
  const [rows, inner] = requireMatrix('linear', 'x', x);
  const [outer] = requireMatrix('linear', 'w', w);
  requireShape('linear', 'w', w, [outer, inner]);
  const shape = resultShape(x.backend, 'linear', [rows, outer]);
  if (!kernels) return linearComposition(x, w);
  const y = empty(x.backend, shape);
  kernels.forward(x, w, y);
  return record([x, w], y, [x, w], (dy, gradients) => {
    if (gradients.wants(x)) kernels.inputGradient(dy, w, gradients.target(x));
    if (gradients.wants(w)) kernels.weightGradient(dy, x, gradients.target(w));
  });
}

export const linearComposition = (x: Tensor, w: Tensor): Tensor => matmul(x, w, { transposeB: true });
