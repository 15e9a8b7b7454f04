import { describe, expect, it, test } from 'vitest';
import { holm } from '../../src/statistics/holm.ts';
import { pairedDifference, seedsNeeded } from '../../src/statistics/paired-difference.ts';
import { quantile, twoSidedP } from '../../src/statistics/student-t.ts';

describe("Student's t is scipy's", () => {
  test.each([
    [0.975, 1, 12.70620474],
    [0.975, 2, 4.30265273],
    [0.975, 9, 2.26215716],
    [0.975, 24, 2.06389856],
    [0.975, 100, 1.98397152],
    [0.9, 3, 1.63774435],
    [0.8, 9, 0.88340386],
    [0.6, 1, 0.3249197],
  ])('quantile of %s at %s degrees of freedom', (probability, freedom, expected) => {
    expect(quantile(probability, freedom)).toBeCloseTo(expected, 7);
  });

  test.each([
    [0.5, 1, 2 * 0.35241638],
    [2, 4, 2 * 0.05805826],
    [-5, 9, 2 * 0.00036948],
    [12, 2, 2 * 0.00343647],
  ])('p of %s at %s degrees of freedom', (t, freedom, expected) => {
    expect(twoSidedP(t, freedom)).toBeCloseTo(expected, 7);
  });
});

const bySeed = (values: readonly number[], first = 1) => new Map(values.map((value, i) => [first + i, value]));

describe('the difference of two variants', () => {
  it('is the mean over the seeds that both have, with its 95 % interval', () => {
    const found = pairedDifference(bySeed([1, 2, 3]), bySeed([1.065, 2.017, 3.01, 9]));
    expect(found.seeds).toBe(3);
    expect(found.mean).toBeCloseTo(0.0307, 4);
    // Measured by hand of three seeds: 0.031 [−0.043, 0.105].
    expect(found.interval!.map((bound) => bound.toFixed(3))).toEqual(['-0.044', '0.105']);
    expect(found.p).toBeGreaterThan(0.05);
  });

  it('has no interval from one shared seed, and none of what is not finite', () => {
    expect(pairedDifference(bySeed([1, 2]), bySeed([3, 9], 2))).toEqual({ seeds: 1, mean: 1 });
    expect(pairedDifference(bySeed([1, 2]), bySeed([3, Number.NaN])).interval).toBeUndefined();
  });

  it('that is the same in every seed is as likely as that all signs agree', () => {
    expect(pairedDifference(bySeed([1, 2]), bySeed([2, 3])).p).toBe(0.5);
    expect(pairedDifference(bySeed([0.8, 0.7, 0.6]), bySeed([0.85, 0.75, 0.65])).p).toBe(0.25);
    expect(pairedDifference(bySeed([1, 2]), bySeed([1, 2])).p).toBe(1);
  });
});

test('more seeds than anyone trains are not counted', () => {
  expect(seedsNeeded(0.01, 1)).toBeCloseTo(105_074, -2);
  for (const mean of [0, 1e-17, Number.NaN]) expect(seedsNeeded(mean, 1)).toBe(Number.POSITIVE_INFINITY);
});

test("Holm's adjustment multiplies the smallest p by all tests, the next by one fewer, and never falls", () => {
  expect(holm([0.01, 0.04, 0.03, 0.005])).toEqual([0.03, 0.06, 0.06, 0.02]);
  expect(holm([])).toEqual([]);
});
