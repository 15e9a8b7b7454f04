import { matmul } from '../primitives.ts';
import { empty } from '../scope.ts';
import { record } from '../tape.ts';
import type { Tensor } from '../tensor.ts';

/**
 * y = x · wᵀ. x [rows, in], w [out, in] → y [rows, out].
 * 2 · rows · in · out flops forward, twice that backward; products in the backend's precision.
 */
export function linear(x: Tensor, w: Tensor): Tensor {
  const { fused } = x.backend;
  if (!fused.linear || !fused.linearInputGradient || !fused.linearWeightGradient) return linearComposition(x, w);
  const [rows, inner] = x.shape;
  if (x.shape.length !== 2 || w.shape.length !== 2 || w.shape[1] !== inner) {
    throw new Error(`linear: x [${x.shape}] and w [${w.shape}] do not fit`);
  }
  const y = empty(x.backend, [rows!, w.shape[0]!]);
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
