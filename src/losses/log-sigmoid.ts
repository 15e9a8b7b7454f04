import { add, exp, log, maximum, neg, stopGradient } from '../tensor/primitives.ts';
import type { Tensor } from '../tensor/tensor.ts';

/**
 * log σ(x), elementwise. For any m, log σ(x) = −m − log(e^−m + e^(−x−m)); m = max(−x, 0) keeps it finite for every
 * finite x. The value does not depend on m, so m is treated as a constant: then the gradient is σ(−x) also at x = 0,
 * where the maximum has a kink and where DPO starts.
 */
export function logSigmoid(x: Tensor): Tensor {
  const m = stopGradient(maximum(neg(x), 0));
  return neg(add(m, log(add(exp(neg(m)), exp(neg(add(x, m)))))));
}
