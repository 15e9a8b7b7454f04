import { mul, neg, sigmoid, sub } from '../tensor/primitives.ts';
import { fromHost } from '../tensor/scope.ts';
import type { Tensor } from '../tensor/tensor.ts';

export interface KtoLoss {
  beta: number;
  /** λ_D: weight of a desirable answer. */
  desirableWeight: number;
  /** λ_U: weight of an undesirable answer. */
  undesirableWeight: number;
}

/**
 * KTO loss of each answer; answers need not come in pairs. λ_D · (1 − σ(β(Δ − z))) for a desirable answer and
 * λ_U · (1 − σ(β(z − Δ))) for an undesirable one, with Δ = log π(y) − log π_ref(y) (Ethayarajh et al. 2024, arXiv
 * 2402.01306, eq. 7). [answers] → [answers]. z is a constant, from `ktoBaseline`.
 */
export function ktoLoss(
  logRatios: Tensor,
  desirable: readonly boolean[],
  baseline: number,
  { beta, desirableWeight, undesirableWeight }: KtoLoss,
): Tensor {
  const { backend } = logRatios;
  const signs = fromHost(
    backend,
    Float64Array.from(desirable, (wanted) => (wanted ? beta : -beta)),
  );
  const weights = Float64Array.from(desirable, (wanted) => (wanted ? desirableWeight : undesirableWeight));
  // σ(−x) equals 1 − σ(x) but does not cancel.
  return mul(sigmoid(neg(mul(sub(logRatios, baseline), signs))), fromHost(backend, weights));
}

/** The mean loss when the policy equals its reference and z is 0, which is the expected initial loss. */
export function untouchedKtoLoss(
  desirable: readonly boolean[],
  { desirableWeight, undesirableWeight }: Omit<KtoLoss, 'beta'>,
): number {
  const weights = desirable.map((wanted) => (wanted ? desirableWeight : undesirableWeight));
  return weights.reduce((total, weight) => total + weight / 2, 0) / weights.length;
}

/**
 * z: the KL divergence from the reference, estimated from the log-probabilities ([answers] each) of answers that are
 * paired with prompts other than their own; at least 0.
 */
export function ktoBaseline(policy: ArrayLike<number>, reference: ArrayLike<number>): number {
  let total = 0;
  for (let i = 0; i < policy.length; i++) total += policy[i]! - reference[i]!;
  return Math.max(0, total / policy.length);
}
