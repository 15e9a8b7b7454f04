import { add, exp, maximum, mul, neg, square, sub, sum } from '../tensor/primitives.ts';
import type { Tensor } from '../tensor/tensor.ts';

export const klKinds = ['k1', 'k2', 'k3', 'abs'] as const;
export type KlKind = (typeof klKinds)[number];

/**
 * Estimates of KL(π‖π_ref) from one sampled token, with Δ = log π − log π_ref (Schulman 2020, "Approximating KL
 * divergence"):
 *
 * - `k1`: Δ, unbiased, positive or negative
 * - `k2`: ½ · Δ², biased, with small variance (`mse` in TRL 0.7)
 * - `k3`: exp(−Δ) − 1 + Δ, unbiased, never negative
 * - `abs`: |Δ|, not an estimate of the KL but a penalty that is 0 at the same point (TRL 0.7)
 *
 * A term of a loss: [tokens] twice → [tokens], with a gradient for `logProbs`. The gradient of `k1` does not estimate
 * the gradient of the KL, so use `k1` in rewards only.
 */
export function klPenalty(kind: KlKind, logProbs: Tensor, reference: Tensor): Tensor {
  const delta = sub(logProbs, reference);
  switch (kind) {
    case 'k1':
      return delta;
    case 'k2':
      return mul(square(delta), 0.5);
    case 'k3':
      return add(exp(neg(delta)), sub(delta, 1));
    case 'abs':
      return maximum(delta, neg(delta));
  }
}

const estimates: Record<KlKind, (delta: number) => number> = {
  k1: (delta) => delta,
  k2: (delta) => delta ** 2 / 2,
  k3: (delta) => Math.expm1(-delta) + delta,
  abs: Math.abs,
};

/** Per-token estimates of KL(π‖π_ref) on the host, for rewards and logging: [tokens] twice → [tokens], in nats. */
export function klEstimates(kind: KlKind, logProbs: ArrayLike<number>, reference: ArrayLike<number>): Float64Array {
  return Float64Array.from(logProbs, (logProb, i) => estimates[kind](logProb - reference[i]!));
}

/** KL(π‖π_ref) = Σ_a π(a) · (log π(a) − log π_ref(a)) over the whole vocabulary: [tokens, V] twice → [tokens, 1]. */
export function fullKl(logProbs: Tensor, reference: Tensor): Tensor {
  return sum(mul(exp(logProbs), sub(logProbs, reference)), [1]);
}
