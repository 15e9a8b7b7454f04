import { type KlKind, klEstimates } from './kl.ts';

export interface ScoredResponse {
  /** log π of the response's tokens under the policy that sampled them, [tokens]. */
  logProbs: ArrayLike<number>;
  /** log π_ref of the same tokens under the reference, [tokens]. */
  reference: ArrayLike<number>;
  /** Score of the response as a whole. */
  score: number;
}

/**
 * Reward of each token of a response: r_t = −β · KL_t + [t = last] · score (Ziegler et al. 2019, arXiv 1909.08593, eq.
 * 2; Ouyang et al. 2022). Responses are not padded, so the last element of the array is the last token.
 */
export function tokenRewards({ logProbs, reference, score }: ScoredResponse, beta: number, kind: KlKind): Float64Array {
  const rewards = klEstimates(kind, logProbs, reference).map((kl) => -beta * kl);
  if (rewards.length === 0) throw new Error('a response without tokens has no reward');
  rewards[rewards.length - 1]! += score;
  return rewards;
}
