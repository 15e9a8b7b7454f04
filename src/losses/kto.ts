import { mul, neg, sigmoid, sub } from '../tensor/primitives.ts';
import { fromHost } from '../tensor/scope.ts';
import type { Tensor } from '../tensor/tensor.ts';

export interface KtoLoss {
  beta: number;
  /** λ_D and λ_U: what a wanted and an unwanted answer count. */
  desirableWeight: number;
  undesirableWeight: number;
}

/**
 * KTO of each answer, which need not come in pairs: λ_D · (1 − σ(β(Δ − z))) for a wanted one and λ_U · (1 − σ(β(z −
 * Δ))) for an unwanted one, with Δ = log π(y) − log π_ref(y) (Ethayarajh et al. 2024, arXiv 2402.01306, eq. 7).
 * [answers] → [answers]. No gradient goes through z, see `ktoBaseline`.
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
  // 1 − σ(x) = σ(−x), which keeps its digits.
  return mul(sigmoid(neg(mul(sub(logRatios, baseline), signs))), fromHost(backend, weights));
}

/** The mean loss of answers where the policy equals its reference and z is 0: what the first step must show. */
export function untouchedKtoLoss(
  desirable: readonly boolean[],
  { desirableWeight, undesirableWeight }: Omit<KtoLoss, 'beta'>,
): number {
  const weights = desirable.map((wanted) => (wanted ? desirableWeight : undesirableWeight));
  return weights.reduce((total, weight) => total + weight / 2, 0) / weights.length;
}

/** z: the KL to the reference, estimated on answers to other prompts than their own, [answers]; never below 0. */
export function ktoBaseline(policy: ArrayLike<number>, reference: ArrayLike<number>): number {
  let total = 0;
  for (let i = 0; i < policy.length; i++) total += policy[i]! - reference[i]!;
  return Math.max(0, total / policy.length);
}
