/** How to scale scores by the moments of all so far: `deviation` is x / std, `standard` is (x − mean) / std. */
export const scoreScales = ['none', 'deviation', 'standard'] as const;
export type ScoreScale = (typeof scoreScales)[number];

/** Count, mean and sum of squared deviations from the mean of all values so far. */
export interface RunningMoments {
  count: number;
  mean: number;
  squares: number;
}

export const noMoments: RunningMoments = { count: 0, mean: 0, squares: 0 };

/** Adds values to the moments (Chan et al. 1983, parallel variance), as if all values had been given at once. */
export function withValues(moments: RunningMoments, values: readonly number[]): RunningMoments {
  if (values.length === 0) return moments;
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  const squares = values.reduce((total, value) => total + (value - mean) ** 2, 0);
  const count = moments.count + values.length;
  const delta = mean - moments.mean;
  return {
    count,
    mean: moments.mean + (delta * values.length) / count,
    squares: moments.squares + squares + (delta ** 2 * moments.count * values.length) / count,
  };
}

/**
 * Scales scores by the moments of all scores so far, which must include these; std divides by n − 1, as
 * `use_score_scaling` and `use_score_norm` of TRL 0.7. ε = 1e-8 keeps the result finite when all scores are equal.
 */
export function scaledScores(
  scores: readonly number[],
  { count, mean, squares }: RunningMoments,
  scale: ScoreScale,
): number[] {
  if (scale === 'none') return [...scores];
  const deviation = Math.sqrt(squares / Math.max(1, count - 1)) + 1e-8;
  return scores.map((score) => (scale === 'standard' ? score - mean : score) / deviation);
}
