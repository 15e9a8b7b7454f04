import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Model, releaseModel } from '../../src/model/model.ts';
import { copyModel, readModel, tensorSource } from '../../src/model/weights.ts';
import type { Backend } from '../../src/tensor/backends/backend.ts';
import { withAdvantages, withLogProbs } from '../../src/training/experience.ts';
import { newOptimizer, releaseOptimizer, update } from '../../src/training/optimizer.ts';
import { policyStep, valueStep } from '../../src/training/proximal-policy.ts';
import { ofEachResponse, responseValues } from '../../src/training/responses.ts';
import { trainingBackends } from './backends.ts';
import { largestDifference, largestRelativeDifference, readFixture } from './fixtures.ts';
import { goldenModel, modelNames } from './runs.ts';

type Metric = 'policyLoss' | 'valueLoss' | 'clipFraction' | 'gradientNorm' | 'valueGradientNorm';

interface PpoFixture {
  temperature: number;
  advantages: { klCoefficient: number; gamma: number; lambda: number };
  clip: number;
  valueClip: number;
  optimiser: {
    beta1: number;
    beta2: number;
    epsilon: number;
    weightDecay: number;
    lr: number;
    valueLr: number;
    clip: number;
  };
  /** Updates of each iteration. */
  updates: number[];
  scoreHead: number[];
  iterations: { prompt: number[]; response: number[]; score: number }[][];
  runs: Record<(typeof modelNames)[number], Record<Metric, number[]>>;
}

const fixture = await readFixture<PpoFixture>('ppo.json');

// Rounded products move ratios over the edge of the clipping, so bfloat16 has no run to be held to.
describe.each(trainingBackends.filter(({ name }) => !name.includes('bf16')))(
  'golden PPO on $name',
  ({ open, bound }) => {
    let backend: Backend;
    beforeAll(async () => {
      backend = await open();
    });
    afterAll(() => backend.dispose());

    test.each(modelNames)('%s: five updates of policy and critic on fixed rollouts', async (name) => {
      const measured = await ppoRun(await goldenModel(name, backend));
      const expected = fixture.runs[name];
      for (const key of ['valueLoss', 'gradientNorm', 'valueGradientNorm'] as const) {
        expect(largestRelativeDifference(measured[key], expected[key]), key).toBeLessThan(bound);
      }
      for (const key of ['policyLoss', 'clipFraction'] as const) {
        expect(largestDifference(measured[key], expected[key]), key).toBeLessThan(bound);
      }
    });
  },
);

async function ppoRun(reference: Model): Promise<Record<Metric, number[]>> {
  const { temperature, clip, valueClip, optimiser } = fixture;
  const [policy, critic] = [newOptimizer(copyModel(reference)), newOptimizer(await criticFrom(reference))];
  const options = { ...optimiser, schedule: 'constant' as const, warmup: 0, minLr: 1 };
  const loss = { clip: { low: clip, high: clip }, temperature, weighting: 'token' as const, maxNewTokens: 8 };
  const measured = { policyLoss: [], valueLoss: [], clipFraction: [], gradientNorm: [], valueGradientNorm: [] };
  const note = (metrics: Record<Metric, number>): void => {
    for (const [key, values] of Object.entries(measured)) (values as number[]).push(metrics[key as Metric]);
  };
  for (const [i, rows] of fixture.iterations.entries()) {
    const rollouts = rows.map(({ prompt, response, score }, row) => ({
      row,
      prompt: Int32Array.from(prompt),
      response: Int32Array.from(response),
      ended: true,
      sampledLogProbs: new Float64Array(),
      score,
    }));
    const experience = await withLogProbs(rollouts, policy.model, reference, temperature);
    const values = await ofEachResponse(experience, (packed) => responseValues(critic.model, packed));
    const examples = withAdvantages(experience, values, {
      ...fixture.advantages,
      klKind: 'k1',
      whitenRewards: false,
    });
    for (let turn = 0; turn < fixture.updates[i]!; turn++) {
      const report = await policyStep(policy, examples, loss);
      const { valueLoss } = await valueStep(critic, examples, valueClip);
      const { gradientNorm } = await update(policy, options, 5);
      const criticUpdate = await update(critic, { ...options, lr: optimiser.valueLr }, 5);
      note({ ...report, valueLoss, gradientNorm, valueGradientNorm: criticUpdate.gradientNorm });
    }
  }
  for (const optimizer of [policy, critic]) {
    releaseOptimizer(optimizer);
    releaseModel(optimizer.model);
  }
  releaseModel(reference);
  return measured;
}

/** The decoder of the policy under the score head of the fixture. */
function criticFrom(policy: Model): Promise<Model> {
  const config = { ...policy.config, tieWordEmbeddings: false, head: 'score' as const };
  const read = tensorSource(policy.config, policy.parameters);
  return readModel(config, policy.backend, async (name, into) => {
    into.set(name === 'score.weight' ? fixture.scoreHead : await read(name));
  });
}
