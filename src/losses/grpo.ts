/**
 * What advantages are divided by: `deviation` is the standard deviation of the group, `none` is nothing (Dr. GRPO, Liu
 * et al. 2025, arXiv 2503.20783).
 */
export const groupScales = ['deviation', 'none'] as const;
export type GroupScale = (typeof groupScales)[number];

/**
 * Group-relative advantages of the k ≥ 2 responses to one prompt: (r_i − mean) / (std + 1e-4), where std divides by
 * k − 1 as in TRL (Shao et al. 2024, DeepSeekMath, arXiv 2402.03300, section 4.1). The division gives prompts that are
 * almost always or almost never answered correctly the same weight as the others; with `none` they weigh little.
 */
export function grpoAdvantages(rewards: ArrayLike<number>, scale: GroupScale = 'deviation'): Float64Array {
  const count = rewards.length;
  if (count < 2) throw new Error('GRPO needs at least two responses to a prompt');
  const values = Float64Array.from(rewards);
  const mean = values.reduce((a, b) => a + b, 0) / count;
  const variance = values.reduce((total, value) => total + (value - mean) ** 2, 0) / (count - 1);
  const divisor = scale === 'none' ? 1 : Math.sqrt(variance) + 1e-4;
  return values.map((value) => (value - mean) / divisor);
}

/**
 * Weight of a token of a response in the loss of a batch:
 *
 * - `response`: 1 / (responses · its length): each response counts the same (GRPO, eq. 3)
 * - `token`: 1 / tokens of the batch: each token counts the same, so long responses count more (DAPO, arXiv 2503.14476,
 *   eq. 8)
 * - `constant`: 1 / (responses · maximum response length): no preference for long wrong answers (Dr. GRPO)
 */
export const tokenWeightings = ['response', 'token', 'constant'] as const;
export type TokenWeighting = (typeof tokenWeightings)[number];

/** For each response, the weight of each of its tokens, from the lengths of all responses in tokens. */
export function tokenWeights(
  lengths: readonly number[],
  weighting: TokenWeighting,
  maxLength: number,
): readonly number[] {
  const tokens = lengths.reduce((a, b) => a + b, 0);
  const divisors: Record<TokenWeighting, (length: number) => number> = {
    response: (length) => lengths.length * length,
    token: () => tokens,
    constant: () => lengths.length * maxLength,
  };
  return lengths.map((length) => (length === 0 ? 0 : 1 / divisors[weighting](length)));
}
