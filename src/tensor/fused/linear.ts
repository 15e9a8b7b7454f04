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
  const { fused } = x.backend;
  requireFloats('linear', x, w);
  const [rows, inner] = requireMatrix('linear', 'x', x);
  const [outer] = requireMatrix('linear', 'w', w);
  requireShape('linear', 'w', w, [outer, inner]);
  const shape = resultShape('linear', [rows, outer]);
  if (!fused.linear || !fused.linearInputGradient || !fused.linearWeightGradient) return linearComposition(x, w);
  const y = empty(x.backend, shape);
  fused.linear(x, w, y);
  return record([x, w], y, [x, w], (dy, gradients) => {
    if (gradients.wants(x)) {
      const { tensor, accumulate } = gradients.target(x);
      fused.linearInputGradient?.(dy, w, tensor, accumulate);
    }
    if (gradients.wants(w)) {
      const { tensor, accumulate } = gradients.target(w);
      fused.linearWeightGradient?.(dy, x, tensor, accumulate);
    }
  });
}

export const linearComposition = (x: Tensor, w: Tensor): Tensor => matmul(x, w, { transposeB: true });
