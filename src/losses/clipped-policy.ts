import { exp, maximum, mul, neg, sub } from '../tensor/primitives.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { clip } from './clip.ts';

/** How far the ratio may move below and above 1 unclipped; DAPO has a larger `high` (Yu et al. 2025, eq. 10). */
export interface PolicyClip {
  low: number;
  high: number;
}

/**
 * PPO's clipped surrogate (Schulman et al. 2017, eq. 7) of each token, as a loss: max(−A·ρ, −A·clip(ρ, 1 − low, 1 +
 * high)) with ρ = exp(log π − log π_old). All arguments and the result are [tokens]; only `logProbs` gets a gradient.
 */
export function clippedPolicyLoss(
  logProbs: Tensor,
  oldLogProbs: Tensor,
  advantages: Tensor,
  { low, high }: PolicyClip,
): Tensor {
  const ratio = exp(sub(logProbs, oldLogProbs));
  const loss = neg(advantages);
  return maximum(mul(loss, clip(ratio, 1 - low, 1 + high)), mul(loss, ratio));
}

/** Fraction of tokens that get no gradient because the clipped term of the loss is the larger one. */
export function clipFraction(
  logProbs: ArrayLike<number>,
  oldLogProbs: ArrayLike<number>,
  advantages: ArrayLike<number>,
  { low, high }: PolicyClip,
): number {
  let clipped = 0;
  for (let i = 0; i < logProbs.length; i++) {
    const ratio = Math.exp(logProbs[i]! - oldLogProbs[i]!);
    if (advantages[i]! > 0 ? ratio > 1 + high : advantages[i]! < 0 && ratio < 1 - low) clipped++;
  }
  return clipped / logProbs.length;
}
