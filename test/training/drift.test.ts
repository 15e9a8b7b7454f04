import { describe, expect, test } from 'vitest';
import { type Baseline, driftWarnings, estimateOf } from '../../src/training/drift.ts';

const first: Baseline = {
  entropy: 1,
  responseLength: 10,
  reward: { mean: 0.4, error: 0.02 },
  sources: { functionReward: { mean: 0.4, error: 0.02 }, modelReward: { mean: 1.5, error: 0.1 } },
};
const better = { mean: 0.6, error: 0.02 };

const warningsOf = (change: Partial<Baseline>, endRate = 1) => driftWarnings(first, { ...first, ...change, endRate });

test('a mean comes with its standard error', () => {
  const { mean, error } = estimateOf([1, 2, 3, 4]);
  expect(mean).toBe(2.5);
  expect(error).toBeCloseTo(Math.sqrt(5 / 3 / 4), 12);
});

describe('drift', () => {
  test('is nothing where nothing has changed, or the reward has risen and nothing else', () => {
    expect(warningsOf({})).toEqual(new Map());
    expect(warningsOf({ reward: better })).toEqual(new Map());
  });

  test('entropy that has collapsed', () => {
    expect(warningsOf({ entropy: 0.11 }).size).toBe(0);
    expect(warningsOf({ entropy: 0.09 }).get('entropy')).toContain('from 1.000 to 0.090 nats per token');
  });

  test('responses that are cut off', () => {
    expect(warningsOf({}, 0.2).get('ends')).toContain('80 % of the responses were cut off');
  });

  test('length, alone and with the reward', () => {
    expect(warningsOf({ responseLength: 20 }).get('length')).toBe('responses went from 10.0 to 20.0 tokens');
    expect(warningsOf({ responseLength: 4 }).get('length')).toBe('responses went from 10.0 to 4.0 tokens');
    expect(warningsOf({ responseLength: 6 }).size).toBe(0);
    const hacked = warningsOf({ responseLength: 20, reward: better });
    expect(hacked.get('length')).toContain('while the reward rose from 0.400 to 0.600: check whether length alone');
  });

  test('a judge that falls while the reward rises', () => {
    const sources = { ...first.sources, modelReward: { mean: 0.5, error: 0.1 } };
    expect(warningsOf({ sources, reward: better }).get('modelReward')).toContain(
      'modelReward fell from 1.500 to 0.500 while',
    );
    expect(warningsOf({ sources })).toEqual(new Map());
    const noise = { ...first.sources, modelReward: { mean: 1.3, error: 0.1 } };
    expect(warningsOf({ sources: noise, reward: better })).toEqual(new Map());
  });
});
