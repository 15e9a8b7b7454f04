import { add, exp, log, maximum, neg, stopGradient } from '../tensor/primitives.ts';
import type { Tensor } from '../tensor/tensor.ts';

/**
 * log σ(x) = −m − log(e^−m + e^(−x−m)), elementwise, for any m; m = max(−x, 0) keeps it finite for every finite x. As
 * the value does not depend on m, neither does the gradient, σ(−x): the kink of the maximum at 0, where DPO starts, is
 * no part of it.
 */
export function logSigmoid(x: Tensor): Tensor {
  const m = stopGradient(maximum(neg(x), 0));
  return neg(add(m, log(add(exp(neg(m)), exp(neg(add(x, m)))))));
}
