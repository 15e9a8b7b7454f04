/**
 * Leave-one-out advantages of the k ≥ 2 responses to one prompt: r_i − mean of the other k − 1 rewards (Kool et al.
 * 2019; Ahmadian et al. 2024, arXiv 2402.14740, eq. 8). Unbiased, because a response is not part of its own baseline.
 */
export function rlooAdvantages(rewards: ArrayLike<number>): Float64Array {
  const others = rewards.length - 1;
  if (others < 1) throw new Error('RLOO needs at least two responses to a prompt');
  let total = 0;
  for (let i = 0; i < rewards.length; i++) total += rewards[i]!;
  return Float64Array.from(rewards, (reward) => reward - (total - reward) / others);
}
