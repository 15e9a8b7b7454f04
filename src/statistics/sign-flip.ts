import { RandomStream } from '../random.ts';

/** Up to so many differences, every way to flip their signs is tried. */
const mostExact = 16;
/** Ways to flip the signs of more differences that are tried, the observed one among them. */
const draws = 10_000;

/**
 * Two-sided p of the sign-flip test of paired differences (Fisher 1935, section 21): among all 2ⁿ ways to give each
 * difference either sign, the share whose mean is at least as far from 0. It needs no normal distribution, only one
 * that is symmetric about 0 where there is no difference; its smallest value is 2 / 2ⁿ.
 *
 * More than 16 differences are flipped at random, in 10,000 ways of which the observed one is the first, so that p is
 * never 0 (Phipson and Smyth 2010).
 */
export function signFlipP(differences: readonly number[]): number {
  const observed = Math.abs(differences.reduce((sum, value) => sum + value, 0));
  // Sums that differ only by rounding are equal.
  const least = observed - 1e-12 * differences.reduce((sum, value) => sum + Math.abs(value), 0);
  const isAsFar = (sum: number): boolean => Math.abs(sum) >= least;
  if (differences.length <= mostExact) {
    const sums = allSums(differences);
    return sums.filter(isAsFar).length / sums.length;
  }
  const random = new RandomStream(0, 'sign flips');
  let count = 1;
  for (let draw = 1; draw < draws; draw++) count += Number(isAsFar(randomSum(differences, random)));
  return count / draws;
}

/** Sums of the values under every choice of signs. */
function allSums(values: readonly number[]): Float64Array {
  const sums = new Float64Array(1 << values.length);
  let count = 1;
  for (const value of values) {
    for (let i = 0; i < count; i++) {
      sums[count + i] = sums[i]! - value;
      sums[i]! += value;
    }
    count *= 2;
  }
  return sums;
}

function randomSum(values: readonly number[], random: RandomStream): number {
  let [sum, bits] = [0, 0];
  for (let i = 0; i < values.length; i++) {
    if (i % 32 === 0) bits = random.uint32();
    sum += (bits >>> (i % 32)) & 1 ? values[i]! : -values[i]!;
  }
  return sum;
}
