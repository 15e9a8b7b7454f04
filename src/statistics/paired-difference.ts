import { signFlipP } from './sign-flip.ts';
import { quantile, twoSidedP } from './student-t.ts';

/** What the seeds that two variants share say of the difference between them. */
export interface PairedDifference {
  /** Seeds that both have. */
  seeds: number;
  /** Mean of the differences of the seeds. */
  mean: number;
  /** Sample standard deviation of these differences; absent for one seed. */
  deviation?: number;
  /** The 95 % interval of the mean (paired t); absent for one seed. */
  interval?: readonly [low: number, high: number];
  /** Probability of a mean at least as far from 0 where there is no difference (paired t, two-sided). */
  p?: number;
  /** This probability by flipping signs, which assumes no normal distribution. */
  signFlipP?: number;
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
  const flipped = signFlipP(differences);
  // Few seeds may agree to the last item by chance, of which t would make a certainty.
  const p = isRounding(deviation, mean) ? flipped : twoSidedP(mean / error, freedom);
  return { seeds, mean, deviation, interval: [mean - margin, mean + margin], p, signFlipP: flipped };
}

/** Whether differences are all the same, but for rounding. */
const isRounding = (deviation: number, mean: number): boolean => deviation <= 1e-9 * Math.abs(mean);

/**
 * Cohen's d_z, the mean of paired differences in units of their standard deviation (Cohen 1988, section 2.3.5); nothing
 * where they are all the same.
 */
export function effectSize({ mean, deviation }: PairedDifference): number | undefined {
  return deviation === undefined || isRounding(deviation, mean) ? undefined : mean / deviation;
}

/** Nobody trains more. */
const mostSeeds = 1e6;

/**
 * Seeds with which a paired t test at 5 % finds a true difference of `mean` in nine of ten comparisons:
 * n = ((t₀.₉₇₅ + t₀.₉)·deviation / mean)² with n − 1 degrees of freedom. Infinity where these are more than a million,
 * as for a difference of 0.
 */
export function seedsNeeded(mean: number, deviation: number): number {
  const ratio = (deviation / mean) ** 2;
  // With unlimited degrees of freedom it would be this many.
  let seeds = Math.max(2, Math.ceil((1.96 + 1.2816) ** 2 * ratio));
  if (!(seeds <= mostSeeds)) return Number.POSITIVE_INFINITY;
  const needed = () => (quantile(0.975, seeds - 1) + quantile(0.9, seeds - 1)) ** 2 * ratio;
  while (needed() > seeds) seeds++;
  return seeds;
}
