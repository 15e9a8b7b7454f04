import { incompleteBeta } from './incomplete-beta.ts';

/**
 * P(|T| ≥ |t|) of Student's t with `freedom` degrees of freedom: I_x(ν/2, 1/2) with x = ν / (ν + t²) (Abramowitz and
 * Stegun 1964, 26.7.1).
 */
export function twoSidedP(t: number, freedom: number): number {
  if (Number.isNaN(t)) return Number.NaN;
  return incompleteBeta(freedom / (freedom + t * t), freedom / 2, 0.5);
}

/** The t for which P(T ≤ t) is `probability`, 0.5 or more. */
export function quantile(probability: number, freedom: number): number {
  const tail = 2 * (1 - probability);
  let [low, high] = [0, 1];
  while (twoSidedP(high, freedom) > tail) high *= 2;
  while (high - low > 1e-12 * high) {
    const middle = (low + high) / 2;
    if (twoSidedP(middle, freedom) > tail) low = middle;
    else high = middle;
  }
  return high;
}
