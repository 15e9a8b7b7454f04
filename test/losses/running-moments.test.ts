import { describe, expect, test } from 'vitest';
import { noMoments, scaledScores, withValues } from '../../src/losses/running-moments.ts';
import { expectClose } from './gradients.ts';

describe('running moments', () => {
  const parts = [[3, -1, 4], [1], [5, 9, -2, 6]];

  test('are those of all values at once, however they came', () => {
    const together = withValues(noMoments, parts.flat());
    const oneByOne = parts.reduce(withValues, noMoments);
    expect(oneByOne.count).toBe(8);
    expectClose([oneByOne.mean, oneByOne.squares], [together.mean, together.squares], 1e-12);
    // mean 25 / 8; Σ (x − mean)²
    expectClose([together.mean, together.squares], [3.125, 94.875], 1e-12);
    expect(withValues(together, [])).toBe(together);
  });

  test('scale scores to a deviation of 1, with their mean or without', () => {
    const moments = withValues(noMoments, [1, 3]);
    expectClose(scaledScores([1, 3], moments, 'deviation'), [1 / Math.SQRT2, 3 / Math.SQRT2], 1e-7);
    expectClose(scaledScores([1, 3], moments, 'standard'), [-1 / Math.SQRT2, 1 / Math.SQRT2], 1e-7);
    expect(scaledScores([1, 3], moments, 'none')).toEqual([1, 3]);
  });

  test('of scores that are all equal leave finite scores', () => {
    expect(scaledScores([2, 2], withValues(noMoments, [2, 2]), 'standard')).toEqual([0, 0]);
    expect(scaledScores([2], withValues(noMoments, [2]), 'standard')).toEqual([0]);
  });
});
