import { describe, expect, test } from 'vitest';
import { learntLengthWarning, lengthWarning, reliability, rewardMeasures } from '../../src/evaluation/reward.ts';

/**
 * Confidences are 0.6, 0.6, 0.95 and 0.95: log-odds ln 1.5 and ln 19. Of the first two one is right, of the last two
 * both.
 */
const pairs = [
  { chosen: Math.log(1.5), rejected: 0, longerBy: 3 },
  { chosen: 0, rejected: Math.log(1.5), longerBy: -2 },
  { chosen: 1 + Math.log(19), rejected: 1, longerBy: 5 },
  { chosen: Math.log(19), rejected: 0, longerBy: 0 },
];

describe('measures of a reward model', () => {
  test('by hand', () => {
    const measures = rewardMeasures(pairs);
    // −ln of the probabilities given to what was preferred: 0.6, 0.4, 0.95, 0.95.
    expect(measures.loss).toBeCloseTo(-(Math.log(0.6) + Math.log(0.4) + 2 * Math.log(0.95)) / 4, 12);
    expect(measures.accuracy).toBe(0.75);
    expect(measures.margin).toBeCloseTo(Math.log(19) / 2, 12);
    expect(measures.accuracyWhenLonger).toBe(1);
    expect(measures.accuracyWhenShorter).toBe(0);
    expect(measures.lengthAccuracy).toBe(2.5 / 4);
    // Half of the pairs at 0.6 against 0.5, half at 0.95 against 1.
    expect(measures.calibrationError).toBeCloseTo(0.5 * 0.1 + 0.5 * 0.05, 12);
  });

  test('the reliability table holds every pair once', () => {
    const table = reliability(pairs);
    expect(table.map(({ pairs }) => pairs)).toEqual([0, 2, 0, 0, 2]);
    expect(table[1]!.accuracy).toBe(0.5);
    expect(table[4]!.confidence).toBeCloseTo(0.95, 12);
    expect(reliability([{ chosen: 1e9, rejected: 0, longerBy: 0 }])[4]!.pairs).toBe(1);
  });

  test('accuracies without pairs are left out', () => {
    const measures = rewardMeasures([{ chosen: 1, rejected: 0, longerBy: 0 }]);
    expect(measures).not.toHaveProperty('accuracyWhenLonger');
    expect(measures).not.toHaveProperty('accuracyWhenShorter');
  });
});

describe('length', () => {
  const withLonger = (longer: number, shorter: number) => [
    ...Array(longer).fill({ longerBy: 4 }),
    ...Array(shorter).fill({ longerBy: -4 }),
  ];

  test('is warned of where it tells the preferred answers from the others', () => {
    expect(lengthWarning(withLonger(18, 2))).toMatch(/in 90 % of the pairs the longer answer is preferred/);
    expect(lengthWarning(withLonger(2, 18))).toMatch(/in 90 % of the pairs the shorter answer is preferred/);
    expect(lengthWarning(withLonger(12, 8))).toBeUndefined();
    expect(lengthWarning(withLonger(5, 0))).toBeUndefined();
  });

  test('is warned of where the model goes by it', () => {
    expect(learntLengthWarning({ accuracyWhenLonger: 0.95, accuracyWhenShorter: 0.2 })).toMatch(/judges by length/);
    expect(learntLengthWarning({ accuracyWhenLonger: 0.95, accuracyWhenShorter: 0.7 })).toBeUndefined();
    expect(learntLengthWarning({ accuracyWhenLonger: 0.95 })).toBeUndefined();
  });
});

test('rewards that are equal are right by half', () => {
  const { accuracy } = rewardMeasures([
    { chosen: 1, rejected: 1, longerBy: 0 },
    { chosen: 2, rejected: 1, longerBy: 0 },
  ]);
  expect(accuracy).toBe(0.75);
});
