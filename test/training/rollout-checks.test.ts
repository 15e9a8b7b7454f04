import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { initialiseModel } from '../../src/model/initialise.ts';
import { type Model, releaseModel } from '../../src/model/model.ts';
import { presetConfig, withPlacement } from '../../src/model/presets.ts';
import { PortableBackend } from '../../src/tensor/backends/portable.ts';
import { withAdvantages, withGroupAdvantages, withLogProbs } from '../../src/training/experience.ts';
import { newOptimizer, releaseOptimizer } from '../../src/training/optimizer.ts';
import { policyStep } from '../../src/training/proximal-policy.ts';
import { rollOut } from '../../src/training/rollout.ts';
import { assertRewardAtEnd, assertSampledLogProbs, assertUntouchedRatio } from '../../src/training/rollout-checks.ts';

const prompts = [Int32Array.of(3), Int32Array.of(1, 2, 3, 4, 5), Int32Array.of(7, 18), Int32Array.of(9, 9, 9)];
const endId = 6;
const advantageOptions = {
  klCoefficient: 0.1,
  klKind: 'k1' as const,
  gamma: 1,
  lambda: 0.95,
  whitenRewards: false,
};
let policy: Model;

beforeAll(async () => {
  const base = { ...presetConfig('1m'), vocabSize: 19, hiddenSize: 16, intermediateSize: 24, layers: 2, heads: 4 };
  const config = withPlacement({ ...base, kvHeads: 2, headDim: 4 }, 'mix', 1);
  policy = await initialiseModel(config, new PortableBackend('f64'), 5, { std: 0.3, embeddingStd: 0.6 });
});

afterAll(() => releaseModel(policy));

async function experienceAt(temperatures: { sampling: number; training: number }) {
  const rollouts = await rollOut(
    policy,
    prompts.map((tokens, row) => ({ row, tokens })),
    { temperature: temperatures.sampling, maxNewTokens: 12, endId, seed: 3 },
  );
  const scored = rollouts.map((rollout, i) => ({ ...rollout, score: i }));
  return withLogProbs(scored, policy, policy, temperatures.training);
}

describe('sampling and training', () => {
  test('give the tokens of prompts of different lengths the same log-probabilities', async () => {
    const experience = await experienceAt({ sampling: 0.7, training: 0.7 });
    expect(assertSampledLogProbs(experience, 'f64')).toBeLessThan(1e-9);
    for (const { response, ended } of experience) {
      expect(response.length).toBeLessThanOrEqual(12);
      expect(response.at(-1) === endId).toBe(ended);
      expect(response.subarray(0, -1)).not.toContain(endId);
    }
    expect(new Set(experience.map(({ ended }) => ended))).toEqual(new Set([true, false]));
  });

  test('at different temperatures do not, and that is an error', async () => {
    const experience = await experienceAt({ sampling: 1, training: 0.7 });
    expect(() => assertSampledLogProbs(experience, 'f64')).toThrow('sampling and training differ');
  });
});

describe('the first minibatch', () => {
  const loss = { clip: { low: 0.2, high: 0.2 }, weighting: 'token' as const, maxNewTokens: 12 };

  test('has ratio 1', async () => {
    const report = await firstReport(1);
    expect(report.ratioDistance).toBeLessThan(1e-9);
    expect(report.approximateKl).toBeCloseTo(0, 12);
    assertUntouchedRatio(report, 'f64');
  });

  test('of an update at another temperature has not, and that is an error', async () => {
    const report = await firstReport(1.5);
    expect(() => assertUntouchedRatio(report, 'f64')).toThrow('all ratios must be 1');
  });

  async function firstReport(temperature: number) {
    const optimizer = newOptimizer(policy);
    const experience = await experienceAt({ sampling: 1, training: 1 });
    const examples = withGroupAdvantages(experience, [0, 1, 2, 3], 2, () => Float64Array.of(-1, 1));
    const report = await policyStep(optimizer, examples, { ...loss, temperature });
    releaseOptimizer(optimizer);
    return report;
  }
});

describe('the score', () => {
  test('is in the reward of the last token', async () => {
    const examples = await rewardedExamples();
    assertRewardAtEnd(examples, advantageOptions);
    expect(examples.map(({ rewards }) => rewards.at(-1))).toEqual([0, 1, 2, 3]);
  });

  test('one token earlier is an error', async () => {
    const examples = (await rewardedExamples()).map((example) => {
      const rewards = example.rewards.map((_, t) => (t === example.rewards.length - 2 ? example.score : 0));
      return { ...example, rewards };
    });
    expect(() => assertRewardAtEnd(examples, advantageOptions)).toThrow('is not on its last token');
  });

  test('of a response that goes on behind its end token is an error', async () => {
    const examples = (await rewardedExamples()).map((example) => ({
      ...example,
      response: example.response.with(0, endId),
    }));
    expect(() => assertRewardAtEnd(examples, advantageOptions)).toThrow('is not on its last token');
  });

  async function rewardedExamples() {
    const experience = await experienceAt({ sampling: 1, training: 1 });
    const values = experience.map(({ response }) => new Float64Array(response.length));
    return withAdvantages(experience, values, advantageOptions);
  }
});

test('drift is said by cause', () => {
  const first = { entropy: 1, responseLength: 10, reward: 0, endRate: 1 };
  expect([...driftWarnings(first, first).keys()]).toEqual([]);
  expect([...driftWarnings(first, { ...first, entropy: 0.05 }).keys()]).toEqual(['entropy']);
  expect([...driftWarnings(first, { ...first, endRate: 0.2 }).keys()]).toEqual(['ends']);
  const hacked = driftWarnings(first, { ...first, responseLength: 20, reward: 1 });
  expect(hacked.get('length')).toContain('whether length alone is rewarded');
});
