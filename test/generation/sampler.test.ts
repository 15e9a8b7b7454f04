import { describe, expect, test } from 'vitest';
import { type Sampling, sampleToken, tokenLogProb, unfiltered } from '../../src/generation/sampler.ts';
import { RandomStream } from '../../src/random.ts';

/** log of 0.1, 0.2, 0.3, 0.4, moved by a constant. */
const logits = [0.1, 0.2, 0.3, 0.4].map((p) => Math.log(p) + 50);
const draws = 20_000;

function shares(changed: Partial<Sampling>, seen?: Set<number>): number[] {
  const sampling = { ...unfiltered, ...changed };
  const random = new RandomStream(7, 'test');
  const counts = [0, 0, 0, 0];
  for (let i = 0; i < draws; i++) counts[sampleToken(logits, sampling, random, seen)]!++;
  return counts.map((count) => count / draws);
}

/** Within five standard deviations of a share. */
function expectShares(found: readonly number[], expected: readonly number[]): void {
  for (const [id, p] of expected.entries()) {
    expect(Math.abs(found[id]! - p)).toBeLessThanOrEqual(5 * Math.sqrt((p * (1 - p)) / draws));
  }
}

describe('sampleToken', () => {
  test('draws from the whole distribution', () => {
    expectShares(shares({}), [0.1, 0.2, 0.3, 0.4]);
  });

  test('at temperature 1/2 draws from the squares', () => {
    expectShares(
      shares({ temperature: 0.5 }),
      [1, 4, 9, 16].map((square) => square / 30),
    );
  });

  test('keeps the k likeliest', () => {
    expectShares(shares({ topK: 2 }), [0, 0, 3 / 7, 4 / 7]);
  });

  test('keeps the likeliest that together have p', () => {
    expectShares(shares({ topP: 0.65 }), [0, 0, 3 / 7, 4 / 7]);
  });

  test('takes the share of top-p from what top-k has left', () => {
    expectShares(shares({ topK: 3, topP: 0.4 }), [0, 0, 0, 1]);
  });

  test('keeps tokens that are likely enough relative to the likeliest', () => {
    expectShares(shares({ minP: 0.45 }), [0, 2 / 9, 3 / 9, 4 / 9]);
  });

  test('divides positive logits of seen tokens by the penalty and multiplies negative ones', () => {
    const logits = [2, 1, -1, -4];
    const penalised = { ...unfiltered, temperature: 0, repetitionPenalty: 3 };
    expect(sampleToken(logits, penalised, new RandomStream(1, 'unused'), new Set([0]))).toBe(1);
    expect(sampleToken(logits, penalised, new RandomStream(1, 'unused'), new Set([0, 1]))).toBe(0);
    expect(sampleToken([-1, -2], penalised, new RandomStream(1, 'unused'), new Set([0]))).toBe(1);
  });
});

test('tokenLogProb is of the tempered distribution', () => {
  expect(tokenLogProb(logits, 1, 1)).toBeCloseTo(Math.log(0.2), 12);
  expect(tokenLogProb(logits, 1, 0.5)).toBeCloseTo(Math.log(4 / 30), 12);
  expect(tokenLogProb(logits, 1, 0)).toBeCloseTo(Math.log(0.2), 12);
});

test('a low temperature is nearly greedy, a high one nearly uniform, also among the first few', () => {
  const random = new RandomStream(1, 'temperature');
  const drawn = (temperature: number, topK: number) =>
    new Set(Array.from({ length: 50 }, () => sampleToken([1, 2, 3, -9], { ...unfiltered, temperature, topK }, random)));
  for (const topK of [0, 3]) {
    expect(drawn(0.05, topK), `${topK}`).toEqual(new Set([2]));
    expect(drawn(20, topK).size).toBe(topK === 0 ? 4 : 3);
  }
});
