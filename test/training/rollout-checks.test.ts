import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { packSequences } from '../../src/data/batch.ts';
import { generalisedAdvantages } from '../../src/losses/advantages.ts';
import { initialiseModel } from '../../src/model/initialise.ts';
import { type Model, releaseModel } from '../../src/model/model.ts';
import { withPlacement } from '../../src/model/norm.ts';
import { presetConfig } from '../../src/model/presets.ts';
import { copyModel, readModel, tensorSource } from '../../src/model/weights.ts';
import { PortableBackend } from '../../src/tensor/backends/portable.ts';
import { type Experience, withAdvantages, withGroupAdvantages, withLogProbs } from '../../src/training/experience.ts';
import { newOptimizer, releaseOptimizer } from '../../src/training/optimizer.ts';
import { policyStep, valueStep } from '../../src/training/proximal-policy.ts';
import { assertOnlyResponses, ofEachResponse, packResponses, responseValues } from '../../src/training/responses.ts';
import { rollOut } from '../../src/training/rollout.ts';
import {
  assertFinite,
  assertKlBelow,
  assertNothingBehindEnd,
  assertReturnsEndInRewards,
  assertRewardAtEnd,
  assertSampledLogProbs,
  assertUntouchedPolicy,
  assertUntouchedRatio,
  assertUntouchedValues,
} from '../../src/training/rollout-checks.ts';

const prompts = [Int32Array.of(3), Int32Array.of(1, 2, 3, 4, 5), Int32Array.of(7, 18), Int32Array.of(9, 9, 9)];
const endIds = [6, 11];
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
  const config = withPlacement({ ...base, kvHeads: 2, headDim: 4 }, 'mix', { postLayers: 1 });
  policy = await initialiseModel(config, new PortableBackend('f64'), 5, { std: 0.3, embeddingStd: 0.6 });
});

afterAll(() => releaseModel(policy));

async function experienceAt(temperatures: { sampling: number; training: number }, reference = policy) {
  const rollouts = await rollOut(
    policy,
    prompts.map((tokens, row) => ({ row, tokens })),
    { temperature: temperatures.sampling, maxNewTokens: 12, endIds, seed: 3 },
  );
  const scored = rollouts.map((rollout, i) => ({ ...rollout, score: i }));
  return withLogProbs(scored, policy, reference, temperatures.training);
}

describe('sampling and training', () => {
  test('give the tokens of prompts of different lengths the same log-probabilities', async () => {
    const experience = await experienceAt({ sampling: 0.7, training: 0.7 });
    expect(assertSampledLogProbs(experience, 'f64')).toBeLessThan(1e-9);
    for (const { response, ended } of experience) {
      expect(response.length).toBeLessThanOrEqual(12);
      expect(endIds.includes(response.at(-1)!)).toBe(ended);
      expect(response.subarray(0, -1).some((token) => endIds.includes(token))).toBe(false);
    }
    expect(new Set(experience.map(({ ended }) => ended))).toEqual(new Set([true, false]));
  });

  test('at different temperatures do not, and that is an error', async () => {
    const experience = await experienceAt({ sampling: 1, training: 0.7 });
    expect(() => assertSampledLogProbs(experience, 'f64')).toThrow('sampling and training differ');
  });
});

describe('the first minibatch', () => {
  const loss = {
    clip: { low: 0.2, high: 0.2 },
    ratio: 'token' as const,
    weighting: 'token' as const,
    maxNewTokens: 12,
  };

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

describe('a run that is broken on purpose is ended by what finds its cause', () => {
  test('a reward one token too early', async () => {
    const examples = (await ppoExamples()).map((example) => {
      const rewards = example.rewards.map((_, t) => (t === example.rewards.length - 2 ? example.score : 0));
      return { ...example, rewards };
    });
    expect(() => assertRewardAtEnd(examples, advantageOptions)).toThrow('is not on its last token');
    assertRewardAtEnd(await ppoExamples(), advantageOptions);
  });

  test('a reward on the last token of another response', async () => {
    const examples = await ppoExamples();
    const swapped = examples.map((example, i) => ({ ...example, score: examples[(i + 1) % examples.length]!.score }));
    expect(() => assertRewardAtEnd(swapped, advantageOptions)).toThrow('is not on its last token');
  });

  test('a stale reference', async () => {
    const stale = copyModel(policy);
    stale.backend.fill(stale.parameters.get('model.norm.weight')!, 0.9);
    const experience = await experienceAt({ sampling: 1, training: 1 }, stale);
    expect(() => assertUntouchedPolicy(experience, 'f64')).toThrow(
      'before the first update the policy is the reference',
    );
    releaseModel(stale);
    assertUntouchedPolicy(await experienceAt({ sampling: 1, training: 1 }), 'f64');
  });

  test('stale log-probabilities of the policy', async () => {
    const optimizer = newOptimizer(policy);
    const stale = (await ppoExamples()).map((example) => ({
      ...example,
      logProbs: example.logProbs.map((x) => x - 0.01),
    }));
    const report = await policyStep(optimizer, stale, firstLoss);
    expect(() => assertUntouchedRatio(report, 'f64')).toThrow('all ratios must be 1; one is off by 0.01');
    releaseOptimizer(optimizer);
  });

  test('padding behind the end that is learned from', async () => {
    const rollouts = await experienceAt({ sampling: 1, training: 1 });
    assertNothingBehindEnd(rollouts, endIds);
    const padded = rollouts.map((rollout) => ({
      ...rollout,
      response: Int32Array.of(...rollout.response, ...endIds),
    }));
    expect(() => assertNothingBehindEnd(padded, endIds)).toThrow('continues after its end token');
    const asEnded = rollouts.map((rollout) => ({ ...rollout, ended: true }));
    expect(() => assertNothingBehindEnd(asEnded, endIds)).toThrow('continues after its end token');
  });

  test('tokens of prompts in the loss', () => {
    const responses = [{ prompt: Int32Array.of(1, 2, 3), response: Int32Array.of(4, 5) }];
    assertOnlyResponses(packResponses(responses).rows.length, responses);
    const all = packSequences([{ tokens: Int32Array.of(1, 2, 3, 4, 5), trained: new Uint8Array(5).fill(1, 1) }]);
    expect(() => assertOnlyResponses(all.trainedTokens, responses)).toThrow(
      'values for 4 tokens were computed, but the responses have 2 tokens',
    );
  });

  test.each(['before', 'behind'])('values that stand one token %s their own', async (where) => {
    const critic = newOptimizer(await criticOf(policy));
    const experience = await experienceAt({ sampling: 1, training: 1 });
    const values = await ofEachResponse(experience, (packed) => responseValues(critic.model, packed));
    const right = withAdvantages(experience, values, advantageOptions);
    assertUntouchedValues((await valueStep(critic, right, 0.2)).valueDistance, right, 'f64');
    const shift = where === 'before' ? 1 : -1;
    const shifted = values.map((value) => value.map((_, t) => value[t + shift] ?? 0));
    const wrong = withAdvantages(experience, shifted, advantageOptions);
    const { valueDistance } = await valueStep(critic, wrong, 0.2);
    expect(() => assertUntouchedValues(valueDistance, wrong, 'f64')).toThrow(
      "the critic's values must be those of the advantages",
    );
    releaseOptimizer(critic);
    releaseModel(critic.model);
  });

  test('a value behind the end of a response', async () => {
    const examples = await ppoExamples();
    assertReturnsEndInRewards(examples);
    const wrong = examples.map((example) => {
      const { rewards, values } = example;
      return { ...example, ...generalisedAdvantages({ rewards, values, discount: 1, lambda: 0.95, finalValue: 0.5 }) };
    });
    expect(() => assertReturnsEndInRewards(wrong)).toThrow('is 0.5, but its reward is 0');
  });

  test('a NaN, wherever it comes from', async () => {
    const [first, second] = await experienceAt({ sampling: 1, training: 1 });
    assertFinite([first!, second!]);
    const damaged: [Partial<Experience>, string][] = [
      [{ logProbs: first!.logProbs.with(0, Number.NaN) }, 'row 1 has a log-probability under the policy'],
      [{ reference: first!.reference.with(0, -Infinity) }, 'row 1 has a log-probability under the reference'],
      [{ score: Number.NaN }, 'row 1 has a score that is not finite'],
    ];
    for (const [damage, message] of damaged) {
      expect(() => assertFinite([second!, { ...first!, ...damage }])).toThrow(message);
    }
    const optimizer = newOptimizer(policy);
    const examples = (await ppoExamples()).map((example) => ({
      ...example,
      advantages: example.advantages.map(() => Number.NaN),
    }));
    await expect(policyStep(optimizer, examples, firstLoss)).rejects.toThrow('the loss of step 1 is NaN');
    releaseOptimizer(optimizer);
  });

  test('a policy that has run away from the reference', () => {
    assertKlBelow(9.9, 10);
    expect(() => assertKlBelow(10.1, 10)).toThrow('KL to the reference is 10.1 nats per response, above maxKl 10');
  });

  const firstLoss = {
    clip: { low: 0.2, high: 0.2 },
    temperature: 1,
    ratio: 'token' as const,
    weighting: 'token' as const,
    maxNewTokens: 12,
  };

  async function ppoExamples() {
    const experience = await experienceAt({ sampling: 1, training: 1 });
    const values = experience.map(({ response }) => new Float64Array(response.length));
    return withAdvantages(experience, values, advantageOptions);
  }
});

test('what else a batch holds contributes nothing: each response alone has the numbers that it has among others', async () => {
  const experience = await experienceAt({ sampling: 1, training: 1 });
  const alone = await Promise.all(experience.map((one) => withLogProbs([one], policy, policy, 1)));
  expect(alone.flat().map(({ logProbs }) => logProbs)).toEqual(experience.map(({ logProbs }) => logProbs));
});

/** The decoder of the policy under a head of other weights than 0. */
function criticOf(model: Model): Promise<Model> {
  const config = { ...model.config, tieWordEmbeddings: false, head: 'score' as const };
  const read = tensorSource(model.config, model.parameters);
  return readModel(config, model.backend, async (name, into) => {
    into.set(name === 'score.weight' ? into.map((_, i) => Math.sin(i)) : await read(name));
  });
}
