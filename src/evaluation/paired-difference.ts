import { quantile, twoSidedP } from './student-t.ts';

/** What seeds that two variants share say of the difference between them. */
export interface PairedDifference {
  /** Seeds that both have. */
  seeds: number;
  /** Mean of the differences of the seeds. */
  mean: number;
  /** Sample standard deviation of these differences; absent for one seed. */
  deviation?: number;
  /** The 95 % interval of the mean (paired t); absent for one seed. */
  interval?: readonly [low: number, high: number];
  /** Probability of a mean at least as large where there is no difference (paired t, two-sided). */
  p?: number;
}

/** Pairs values by seed; a seed that one side lacks is left out on both. */
export function pairedDifference(
  reference: ReadonlyMap<number, number>,
  other: ReadonlyMap<number, number>,
): PairedDifference {
  const differences = [...other].flatMap(([seed, value]) => {
    const before = reference.get(seed);
    return before === undefined ? [] : [value - before];
  });
  const seeds = differences.length;
  const mean = differences.reduce((sum, value) => sum + value, 0) / seeds;
  if (seeds < 2 || !Number.isFinite(mean)) return { seeds, mean };
  const freedom = seeds - 1;
  const deviation = Math.sqrt(differences.reduce((sum, value) => sum + (value - mean) ** 2, 0) / freedom);
  const error = deviation / Math.sqrt(seeds);
  const margin = quantile(0.975, freedom) * error;
  // Differences that are all alike: of none at all, nothing is shown; any other has no chance to come about otherwise.
  const p = error > 0 ? twoSidedP(mean / error, freedom) : mean === 0 ? 1 : 0;
  return { seeds, mean, deviation, interval: [mean - margin, mean + margin], p };
}

/**
 * Seeds with which a paired t test at 5 % finds a true difference of `mean` in nine of ten comparisons:
 * n = ((t₀.₉₇₅ + t₀.₉)·deviation / mean)² with n − 1 degrees of freedom. Infinity for a difference of 0.
 */
export function seedsNeeded(mean: number, deviation: number): number {
  const ratio = (deviation / mean) ** 2;
  if (!Number.isFinite(ratio)) return Number.POSITIVE_INFINITY;
  const needed = (seeds: number) => (quantile(0.975, seeds - 1) + quantile(0.9, seeds - 1)) ** 2 * ratio;
  // With unlimited degrees of freedom it would be this many.
  let seeds = Math.max(2, Math.ceil((1.96 + 1.2816) ** 2 * ratio));
  while (needed(seeds) > seeds) seeds++;
  return seeds;
}

/** Holm's adjustment of the p-values of a family of tests (Holm 1979), in their order. */
export function holm(ps: readonly number[]): number[] {
  const order = ps.map((_, i) => i).sort((a, b) => ps[a]! - ps[b]!);
  const adjusted = new Array<number>(ps.length);
  let largest = 0;
  for (const [rank, i] of order.entries()) {
    largest = Math.max(largest, Math.min(1, (ps.length - rank) * ps[i]!));
    adjusted[i] = largest;
  }
  return adjusted;
}
