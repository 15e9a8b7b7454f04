import { add, exp, log, maximum, neg, sub } from '../tensor/primitives.ts';
import type { Tensor } from '../tensor/tensor.ts';

/** log σ(x) = min(x, 0) − log(1 + e^−|x|), elementwise; finite for every finite x. */
export function logSigmoid(x: Tensor): Tensor {
  const magnitude = maximum(x, neg(x));
  return neg(add(maximum(neg(x), 0), log(add(exp(sub(0, magnitude)), 1))));
}
