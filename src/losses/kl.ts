import { add, exp, maximum, mul, neg, square, sub, sum } from '../tensor/primitives.ts';
import type { Tensor } from '../tensor/tensor.ts';

export const klKinds = ['k1', 'k2', 'k3', 'abs'] as const;
export type KlKind = (typeof klKinds)[number];

/**
 * Estimates of KL(π‖π_ref) from one sampled token, with Δ = log π − log π_ref (Schulman 2020, "Approximating KL
 * divergence"):
 *
 * - `k1`: Δ, unbiased, of either sign
 * - `k2`: ½ · Δ², biased, small variance (`mse` in TRL 0.7)
 * - `k3`: exp(−Δ) − 1 + Δ, unbiased, never negative
 * - `abs`: |Δ|, no estimate of KL but a penalty with the same zero (TRL 0.7)
 *
 * As a term of a loss: all [tokens], a gradient reaches `logProbs`. The gradient of `k1` is no gradient of the KL: it
 * is for rewards.
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

/** Estimates of KL(π‖π_ref) of each token on the host, for rewards and records: [tokens] twice → [tokens], in nats. */
export function klEstimates(kind: KlKind, logProbs: ArrayLike<number>, reference: ArrayLike<number>): Float64Array {
  return Float64Array.from(logProbs, (logProb, i) => estimates[kind](logProb - reference[i]!));
}

/** KL(π‖π_ref) = Σ_a π(a) · (log π(a) − log π_ref(a)) over the whole vocabulary: [tokens, V] twice → [tokens, 1]. */
export function fullKl(logProbs: Tensor, reference: Tensor): Tensor {
  return sum(mul(exp(logProbs), sub(logProbs, reference)), [1]);
}
