import { add, exp, log } from '../primitives.ts';
import { empty } from '../scope.ts';
import { record } from '../tape.ts';
import type { Tensor } from '../tensor.ts';

/** log(1 + eˣ), by element. */
export function softplus(x: Tensor): Tensor {
  const kernels = x.backend.kernels.toy;
  if (!kernels) return log(add(exp(x), 1));
  const y = empty(x.backend, x.shape);
  kernels.forward(x, y);
  return record([x], y, [x], (dy, gradients) => {
    if (gradients.wants(x)) kernels.gradient(dy, x, gradients.target(x));
  });
}
