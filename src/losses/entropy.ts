import { linear } from '../tensor/fused/linear.ts';
import { div, exp, log, max, mul, reshape, stopGradient, sub, sum } from '../tensor/primitives.ts';
import type { Tensor } from '../tensor/tensor.ts';

/**
 * Entropy of each row's distribution, −Σ_a p(a) · log p(a) in nats: hidden [rows, H], head [V, H] → [rows]. With
 * shifted logits s and Z = Σ exp(s) it is log Z − Σ exp(s) · s / Z. Allocates logits of shape [rows, V], so pass only
 * as many rows as fit in memory.
 */
export function tokenEntropies(hidden: Tensor, head: Tensor): Tensor {
  const logits = linear(hidden, head);
  const shifted = sub(logits, stopGradient(max(logits, [1])));
  const weights = exp(shifted);
  const total = sum(weights, [1]);
  const entropy = sub(log(total), div(sum(mul(weights, shifted), [1]), total));
  return reshape(entropy, [hidden.shape[0]!]);
}
