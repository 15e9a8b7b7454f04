import { describe, expect, test } from 'vitest';
import { fullKl, type KlKind, klEstimates, klKinds, klPenalty } from '../../src/losses/kl.ts';
import { tokenRewards } from '../../src/losses/token-rewards.ts';
import { expectClose, expectGradients, tensor, valuesOf } from './gradients.ts';

/** Of TRL 0.7.11's test of its PPO trainer. */
const logProbs = [0.5, 0.2, 0.1, 0.6, 0.2, 0.1];
const reference = [0.4, 0.3, 0, 0.7, 0.1, 0.3];
const published: Partial<Record<KlKind, number[]>> = {
  k1: [0.1, -0.1, 0.1, -0.1, 0.1, -0.2],
  abs: [0.1, 0.1, 0.1, 0.1, 0.1, 0.2],
  k2: [0.005, 0.005, 0.005, 0.005, 0.005, 0.02],
};

describe('estimates of KL', () => {
  test.each(Object.entries(published))('%s', async (kind, expected) => {
    expectClose(klEstimates(kind as KlKind, logProbs, reference), expected, 1e-12);
    const losses = await valuesOf(() => klPenalty(kind as KlKind, tensor(logProbs), tensor(reference)));
    expectClose(losses, expected, 1e-12);
  });

  test('k3 is exp(−Δ) − 1 + Δ', async () => {
    // e^−1 + 1 − 1, e^2 − 2 − 1
    const expected = [0.36787944117144233, 4.38905609893065];
    expectClose(klEstimates('k3', [-1, -3], [-2, -1]), expected, 1e-12);
    expectClose(await valuesOf(() => klPenalty('k3', tensor([-1, -3]), tensor([-2, -1]))), expected, 1e-12);
  });

  test.each(klKinds)('%s is 0 where both agree, and has the gradient of central differences', async (kind) => {
    expectClose(klEstimates(kind, [-1.5], [-1.5]), [0], 1e-15);
    await expectGradients([logProbs], (x) => klPenalty(kind, x, tensor(reference)));
  });

  test('k1 and k3 are on average the KL of the whole distribution', () => {
    const [policy, other] = [
      [0.7, 0.2, 0.1],
      [0.1, 0.3, 0.6],
    ];
    const logs = (p: readonly number[]) => p.map(Math.log);
    for (const kind of ['k1', 'k3'] as const) {
      const mean = klEstimates(kind, logs(policy!), logs(other!)).reduce((sum, kl, i) => sum + policy![i]! * kl, 0);
      expect(mean).toBeCloseTo(1.1018681358, 9);
    }
  });
});

describe('full KL over the vocabulary', () => {
  test.each([
    { policy: [0.98, 0.01, 0.01], other: [0.01, 0.01, 0.98], expected: 4.447418454310455 },
    { policy: [0.01, 0.98, 0.01], other: [0.01, 0.01, 0.98], expected: 4.447418454310455 },
    { policy: [0.49, 0.02, 0.49], other: [0.01, 0.98, 0.01], expected: 3.7361474861862014 },
    { policy: [0.49, 0.02, 0.49], other: [0.49, 0.02, 0.49], expected: 0 },
    { policy: [0.7, 0.2, 0.1], other: [0.1, 0.3, 0.6], expected: 1.1018681358 },
    { policy: [0.1, 0.3, 0.6], other: [0.7, 0.2, 0.1], expected: 1.0021041991 },
  ])('of $policy from $other', async ({ policy, other, expected }) => {
    const logs = (p: number[]) => tensor(p.map(Math.log), [1, 3]);
    expectClose(await valuesOf(() => fullKl(logs(policy), logs(other))), [expected], 1e-9);
  });

  test('its gradient is that of central differences', async () => {
    await expectGradients(
      [[-1, -0.5, -2, -0.3, -1.8, -2.2]],
      (x) => fullKl(x, tensor([-2, -1, -1, -1, -1, -1], [2, 3])),
      [2, 3],
    );
  });
});

describe('reward of each token', () => {
  test.each([
    { score: 1, logs: [0.1, 0.2, 0.3], other: [0.2, 0.3, 0.4], expected: [0.05, 0.05, 1.05] },
    { score: 2, logs: [0.4, 0.5, 0.6], other: [0.6, 0.7, 0.8], expected: [0.1, 0.1, 2.1] },
    { score: 3, logs: [0.6, 0.7, 0.8], other: [0.9, 1.0, 1.1], expected: [0.15, 0.15, 3.15] },
  ])('of torchtune with score $score', ({ score, logs, other, expected }) => {
    expectClose(tokenRewards({ logProbs: logs, reference: other, score }, 0.5, 'k1'), expected, 1e-12);
  });

  test('a response without tokens has none', () => {
    expect(() => tokenRewards({ logProbs: [], reference: [], score: 1 }, 0.5, 'k1')).toThrow(/without tokens/);
  });
});
