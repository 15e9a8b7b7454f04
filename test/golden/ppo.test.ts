import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { adaptedCoefficient } from '../../src/losses/adaptive-kl.ts';
import type { KlKind } from '../../src/losses/kl.ts';
import { rlooAdvantages } from '../../src/losses/rloo.ts';
import { noMoments, scaledScores, withValues } from '../../src/losses/running-moments.ts';
import { type Model, releaseModel, scoreHeadOf } from '../../src/model/model.ts';
import { copyModel, readModel, tensorSource } from '../../src/model/weights.ts';
import type { Backend } from '../../src/tensor/backends/backend.ts';
import { responseKls, withAdvantages, withGroupAdvantages, withLogProbs } from '../../src/training/experience.ts';
import { languageModelLoss } from '../../src/training/language-model.ts';
import { newOptimizer, type Optimizer, releaseOptimizer, update } from '../../src/training/optimizer.ts';
import { policyStep, sharedStep, valueStep } from '../../src/training/proximal-policy.ts';
import { ofEachResponse, responseValues } from '../../src/training/responses.ts';
import { withValueHead } from '../../src/training/value-head.ts';
import { trainingBackends } from './backends.ts';
import { largestDifference, largestRelativeDifference, readFixture } from './fixtures.ts';
import { goldenModel, modelNames } from './runs.ts';

/** Metrics by name, with a number for each update. */
type Run = Record<string, number[]>;

interface Settings {
  value_clip: number;
  kl_kind: KlKind;
  whiten_rewards: boolean;
  kl_target: [target: number, horizon: number] | null;
  pretrain_weight: number | null;
  entropy_coefficient: number;
  shared_value_weight: number | null;
  score_clip: number | null;
}

interface PpoFixture {
  temperature: number;
  advantages: { klCoefficient: number; gamma: number; lambda: number };
  clip: number;
  optimiser: Record<'beta1' | 'beta2' | 'epsilon' | 'weightDecay' | 'lr' | 'valueLr' | 'clip', number>;
  /** The number of updates in each iteration. */
  updates: number[];
  scoreHead: number[];
  iterations: { prompt: number[]; response: number[]; score: number }[][];
  /** Texts mixed into each update. */
  windows: number[][][];
  settings: Record<string, Settings>;
  runs: Record<string, Record<(typeof modelNames)[number], Run>>;
  rloo: { samples: number; entropyCoefficient: number; runs: Record<(typeof modelNames)[number], Run> };
}

const fixture = await readFixture<PpoFixture>('ppo.json');
const cases = Object.keys(fixture.settings).flatMap((setting) => modelNames.map((name) => ({ setting, name })));

const notHeld = ['approximateKl', 'ratioDistance', 'valueDistance'];

/** Metrics that may be 0, and so have an absolute bound. */
const nearZero = ['policyLoss', 'clipFraction'];

// bfloat16 has no run to compare with: rounding moves ratios over the edge of the clipping.
describe.each(trainingBackends.filter(({ name }) => !name.includes('bf16')))(
  'golden PPO on $name',
  ({ open, bound, updates }) => {
    // The placement makes no difference here, so one model is enough for backends too slow for all updates elsewhere.
    const models = updates < 10 ? modelNames.slice(1) : modelNames;
    let backend: Backend;
    beforeAll(async () => {
      backend = await open();
    });
    afterAll(() => backend.dispose());

    test.each(cases.filter(({ name }) => models.includes(name)))(
      '$setting, $name: five updates of policy and critic on fixed rollouts',
      async ({ setting, name }) => {
        const measured = await ppoRun(await goldenModel(name, backend), fixture.settings[setting]!);
        expectRun(measured, fixture.runs[setting]![name], bound);
      },
    );

    test.each(models)('RLOO, %s: five updates with one ratio for each response', async (name) => {
      expectRun(await rlooRun(await goldenModel(name, backend)), fixture.rloo.runs[name], bound);
    });
  },
);

function expectRun(measured: Run, expected: Run, bound: number): void {
  expect(Object.keys(measured).sort()).toEqual(Object.keys(expected).sort());
  for (const [key, numbers] of Object.entries(expected)) {
    const distance = nearZero.includes(key) ? largestDifference : largestRelativeDifference;
    expect(distance(measured[key]!, numbers), key).toBeLessThan(bound);
  }
}

async function rlooRun(reference: Model): Promise<Run> {
  const { temperature, clip, optimiser, advantages, rloo } = fixture;
  const policy = newOptimizer(copyModel(reference));
  const options = { ...optimiser, schedule: 'constant' as const, warmup: 0, minLr: 1 };
  const loss = {
    clip: { low: clip, high: clip },
    temperature,
    ratio: 'response' as const,
    weighting: 'response' as const,
    maxNewTokens: 8,
    entropyCoefficient: rloo.entropyCoefficient,
  };
  const measured: Run = {};
  for (const [i, rows] of fixture.iterations.entries()) {
    const scores = rows.map(({ score }) => score);
    const experience = await withLogProbs(rolloutsOf(rows, scores), policy.model, reference, temperature);
    const kls = responseKls(experience);
    const rewards = scores.map((score, row) => score - advantages.klCoefficient * kls[row]!);
    const examples = withGroupAdvantages(experience, rewards, rloo.samples, rlooAdvantages);
    for (let turn = 0; turn < fixture.updates[i]!; turn++) {
      const report: Record<string, number> = { ...(await policyStep(policy, examples, loss)) };
      report.gradientNorm = (await update(policy, options, 5)).gradientNorm;
      note(measured, report);
    }
  }
  releaseOptimizer(policy);
  releaseModel(policy.model);
  releaseModel(reference);
  return measured;
}

function rolloutsOf(rows: PpoFixture['iterations'][number], scores: readonly number[]) {
  return rows.map(({ prompt, response }, row) => ({
    row,
    prompt: Int32Array.from(prompt),
    response: Int32Array.from(response),
    ended: true,
    sampledLogProbs: new Float64Array(),
    score: scores[row]!,
  }));
}

function note(measured: Run, report: Readonly<Record<string, number>>): void {
  for (const [key, number] of Object.entries(report)) {
    if (!notHeld.includes(key)) measured[key] = [...(measured[key] ?? []), number];
  }
}

async function ppoRun(reference: Model, settings: Settings): Promise<Run> {
  const { temperature, clip, optimiser } = fixture;
  const isShared = settings.shared_value_weight !== null;
  const policy = isShared ? withHead(newOptimizer(copyModel(reference))) : newOptimizer(copyModel(reference));
  const critic = isShared ? undefined : newOptimizer(await criticFrom(reference));
  const options = { ...optimiser, schedule: 'constant' as const, warmup: 0, minLr: 1 };
  const loss = {
    clip: { low: clip, high: clip },
    temperature,
    ratio: 'token' as const,
    weighting: 'token' as const,
    maxNewTokens: 8,
    entropyCoefficient: settings.entropy_coefficient,
  };
  const texts = fixture.windows.values();
  const measured: Run = {};
  let [moments, { klCoefficient }] = [noMoments, fixture.advantages];
  for (const [i, rows] of fixture.iterations.entries()) {
    const plain = rows.map(({ score }) => score);
    moments = withValues(moments, plain);
    const scores =
      settings.score_clip === null ? plain : clipped(scaledScores(plain, moments, 'standard'), settings.score_clip);
    const experience = await withLogProbs(rolloutsOf(rows, scores), policy.model, reference, temperature);
    const values = await ofEachResponse(experience, (packed) => responseValues((critic ?? policy).model, packed));
    const examples = withAdvantages(experience, values, {
      ...fixture.advantages,
      klCoefficient,
      klKind: settings.kl_kind,
      whitenRewards: settings.whiten_rewards,
    });
    for (let turn = 0; turn < fixture.updates[i]!; turn++) {
      const report: Record<string, number> = critic
        ? { ...(await policyStep(policy, examples, loss)), ...(await valueStep(critic, examples, settings.value_clip)) }
        : {
            ...(await sharedStep(policy, examples, loss, {
              clip: settings.value_clip,
              weight: settings.shared_value_weight!,
            })),
          };
      report.klCoefficient = klCoefficient;
      if (settings.pretrain_weight !== null) {
        const windows = texts.next().value!.map((tokens) => textOf(tokens));
        report.pretrainLoss = (await languageModelLoss(policy, [windows], settings.pretrain_weight)).loss;
      }
      report.gradientNorm = (await update(policy, options, 5)).gradientNorm;
      if (critic) {
        report.valueGradientNorm = (await update(critic, { ...options, lr: optimiser.valueLr }, 5)).gradientNorm;
      }
      note(measured, report);
    }
    if (settings.kl_target) {
      const [target, horizon] = settings.kl_target;
      const kls = responseKls(experience);
      const kl = kls.reduce((a, b) => a + b, 0) / kls.length;
      klCoefficient = adaptedCoefficient(klCoefficient, kl, rows.length, { target, horizon });
    }
  }
  for (const optimizer of critic ? [policy, critic] : [policy]) {
    releaseOptimizer(optimizer);
    releaseModel(optimizer.model);
  }
  releaseModel(reference);
  return measured;
}

const clipped = (scores: readonly number[], bound: number): number[] =>
  scores.map((score) => Math.max(-bound, Math.min(bound, score)));

const textOf = (tokens: readonly number[]) => ({
  tokens: Int32Array.from(tokens),
  trained: new Uint8Array(tokens.length).fill(1, 1),
});

/** The policy with the fixture's score head in addition to its own head. */
function withHead(optimizer: Optimizer): Optimizer {
  const shared = withValueHead(optimizer);
  shared.model.backend.write(scoreHeadOf(shared.model), Float32Array.from(fixture.scoreHead));
  return shared;
}

/** The policy's decoder with the fixture's score head. */
function criticFrom(policy: Model): Promise<Model> {
  const config = { ...policy.config, tieWordEmbeddings: false, head: 'score' as const };
  const read = tensorSource(policy.config, policy.parameters);
  return readModel(config, policy.backend, async (name, into) => {
    into.set(name === 'score.weight' ? fixture.scoreHead : await read(name));
  });
}
