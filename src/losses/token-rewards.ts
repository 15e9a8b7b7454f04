import { type KlKind, klEstimates } from './kl.ts';

export interface ScoredResponse {
  /** Of the policy that sampled the response, [tokens]. */
  logProbs: ArrayLike<number>;
  /** log π_ref of these tokens under the reference. */
  reference: ArrayLike<number>;
  /** Of the response as a whole. */
  score: number;
}

/**
 * Reward of each token of a response: r_t = −β · KL_t + [t = last] · score (Ziegler et al. 2019, arXiv 1909.08593, eq.
 * 2; Ouyang et al. 2022). Nothing is padded, so the last token is the last of the array.
 */
export function tokenRewards({ logProbs, reference, score }: ScoredResponse, beta: number, kind: KlKind): Float64Array {
  const rewards = klEstimates(kind, logProbs, reference).map((kl) => -beta * kl);
  if (rewards.length === 0) throw new Error('a response without tokens has no reward');
  rewards[rewards.length - 1]! += score;
  return rewards;
}
