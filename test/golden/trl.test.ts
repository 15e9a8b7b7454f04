import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { EncodedSequence } from '../../src/data/encode.ts';
import { type Model, releaseModel } from '../../src/model/model.ts';
import { copyModel, readModel, tensorSource } from '../../src/model/weights.ts';
import type { Backend } from '../../src/tensor/backends/backend.ts';
import { newOptimizer, type Optimizer, releaseOptimizer, update } from '../../src/training/optimizer.ts';
import { type PairObjective, type PreferenceReport, preferenceStep } from '../../src/training/preference.ts';
import { rewardStep } from '../../src/training/reward.ts';
import { logLikelihoods } from '../../src/training/sequence-log-probs.ts';
import { type KtoObjective, ktoStep, type ReferencedAnswer } from '../../src/training/unpaired.ts';
import { trainingBackends } from './backends.ts';
import { largestRelativeDifference, readFixture } from './fixtures.ts';
import { goldenModel, referencedPairs } from './runs.ts';

interface PairRow {
  prompt: number[];
  chosen: number[];
  rejected: number[];
}

interface AnswerRow {
  prompt: number[];
  completion: number[];
  label: boolean;
}

type Values = (number | null)[];

interface TrlFixture {
  steps: number;
  batchSize: number;
  learningRate: number;
  optimiser: { beta1: number; beta2: number; epsilon: number; weightDecay: number };
  endToken: number;
  rewardMargin: number;
  scoreHead: number[];
  /** KTO's reference is the initial model with all matrices multiplied by this. */
  referenceScale: number;
  rows: { pairs: PairRow[]; shortPrompts: PairRow[]; halfOfPairs: PairRow[]; unpaired: AnswerRow[] };
  runs: Record<string, { loss: number[]; gradientNorm: number[] } & Record<string, Values>>;
}

const fixture = await readFixture<TrlFixture>('trl.json');
const { steps, batchSize, rows, runs } = fixture;
const updates = {
  ...fixture.optimiser,
  lr: fixture.learningRate,
  schedule: 'constant' as const,
  warmup: 0,
  minLr: 1,
  clip: 0,
};
/** TRL computes in float32, so rounding errors of five updates remain. */
const bound = 1e-5;

const pairLosses: Record<string, { objective: PairObjective; rows: PairRow[] }> = {
  dpo: pairRun({ loss: 'dpo' }),
  'dpo smoothed': pairRun({ loss: 'dpo', labelSmoothing: 0.1 }),
  ipo: pairRun({ loss: 'ipo' }),
  hinge: pairRun({ loss: 'hinge' }),
  'dpo with nll': pairRun({ loss: 'dpo', nllWeight: 0.5 }),
  simpo: pairRun({ loss: 'simpo', beta: 2, gamma: 0.5 }),
  'simpo with nll': pairRun({ loss: 'simpo', beta: 2, gamma: 0.5, nllWeight: 0.5 }),
  orpo: pairRun({ loss: 'orpo', beta: 0.2, nllWeight: 1 }, rows.shortPrompts),
};

const ktoRows: Record<string, { objective: KtoObjective; rows: AnswerRow[] }> = {
  kto: ktoRun({ undesirableWeight: 1.5 }, rows.unpaired),
  'kto of pairs': ktoRun({ undesirableWeight: 1 }, [
    ...rows.halfOfPairs.map(({ prompt, chosen }) => ({ prompt, completion: chosen, label: true })),
    ...rows.halfOfPairs.map(({ prompt, rejected }) => ({ prompt, completion: rejected, label: false })),
  ]),
};

test('every run of the fixture is compared', () => {
  expect([...Object.keys(pairLosses), ...Object.keys(ktoRows), 'reward'].sort()).toEqual(Object.keys(runs).sort());
});

const held = trainingBackends.filter(({ name }) => !name.includes('bf16'));
describe.each(held)('TRL 1.16 on $name', ({ open, updates: most }) => {
  let backend: Backend;
  beforeAll(async () => {
    backend = await open();
  });
  afterAll(() => backend.dispose());
  const learned = <Row>(all: readonly Row[]) => all.slice(0, most * batchSize);

  test.each(Object.keys(pairLosses))('updates of %s', async (name) => {
    const { objective, rows } = pairLosses[name]!;
    const optimizer = newOptimizer(await goldenModel('pre', backend));
    const pairs = learned(rows).map(({ prompt, chosen, rejected }) => ({
      chosen: sequenceOf(prompt, chosen),
      rejected: sequenceOf(prompt, rejected),
    }));
    const hasReference = !['orpo', 'simpo'].includes(objective.loss);
    const none = { chosen: 0, rejected: 0 };
    const train = hasReference
      ? await referencedPairs(optimizer.model, pairs)
      : pairs.map((pair) => ({ ...pair, reference: none }));
    const reports = await trained(optimizer, train, (window) => preferenceStep(optimizer, [window], objective));
    expectRun(name, reports, hasReference);
  });

  test.each(Object.keys(ktoRows))('updates of %s with a reference other than the initial policy', async (name) => {
    const { objective, rows } = ktoRows[name]!;
    const optimizer = newOptimizer(await goldenModel('pre', backend));
    const reference = await scaled(optimizer.model);
    const sequences = learned(rows).map(({ prompt, completion }) => sequenceOf(prompt, completion));
    const logProbs = await logLikelihoods(reference, sequences);
    const answers = sequences.map(
      (sequence, i): ReferencedAnswer => ({ ...sequence, desirable: rows[i]!.label, reference: logProbs[i]! }),
    );
    const reports = await trained(optimizer, answers, (window) => ktoStep(optimizer, [window], reference, objective));
    releaseModel(reference);
    expect(runs[name]!.kl!.every((kl) => kl! > 0)).toBe(true);
    expectRun(name, reports, true);
  });

  test('updates of the reward model, with margin and centring', async () => {
    const start = await goldenModel('pre', backend);
    const optimizer = newOptimizer(await rewardModelFrom(start));
    releaseModel(start);
    const comparisons = learned(rows.pairs).map(({ prompt, chosen, rejected }) => ({
      texts: [sequenceOf(prompt, chosen).tokens, sequenceOf(prompt, rejected).tokens],
      pairs: [{ better: 0, worse: 1 }],
    }));
    const loss = { margin: fixture.rewardMargin, centring: 0.01 };
    const reports = await trained(optimizer, comparisons, (window) => rewardStep(optimizer, [window], loss));
    expectNumbers('reward', reports, ['accuracy', 'margin']);
  });
});

function pairRun(particular: Pick<PairObjective, 'loss'> & Partial<PairObjective>, own = rows.pairs) {
  return { objective: { beta: 0.1, labelSmoothing: 0, gamma: 0, nllWeight: 0, ...particular }, rows: own };
}

function ktoRun(weights: { undesirableWeight: number }, own: AnswerRow[]) {
  const objective = { loss: 'kto' as const, beta: 0.1, desirableWeight: 1, nllWeight: 0, maxLength: 64, ...weights };
  return { objective, rows: own };
}

/** The sequence of prompt, answer and end token, trained on the answer and the end token. */
function sequenceOf(prompt: readonly number[], answer: readonly number[]): EncodedSequence {
  const tokens = Int32Array.of(...prompt, ...answer, fixture.endToken);
  return { tokens, trained: Uint8Array.from(tokens, (_, i) => Number(i >= prompt.length)), boundaryMerges: 0 };
}

async function scaled(model: Model): Promise<Model> {
  const copy = copyModel(model);
  for (const tensor of copy.parameters.values()) {
    if (tensor.shape.length < 2) continue;
    const values = await copy.backend.read(tensor);
    copy.backend.write(
      tensor,
      values.map((value) => value * fixture.referenceScale),
    );
  }
  return copy;
}

function rewardModelFrom({ config, parameters, backend }: Model): Promise<Model> {
  const read = tensorSource(config, parameters);
  return readModel({ ...config, head: 'score' }, backend, async (name, into) => {
    into.set(name === 'score.weight' ? fixture.scoreHead : await read(name));
  });
}

interface Report {
  loss: number;
  gradientNorm: number;
  metrics: Record<string, number>;
}

/** Makes one update for each batch, in the order of the rows. */
async function trained<Row>(
  optimizer: Optimizer,
  train: readonly Row[],
  step: (
    window: readonly Row[],
  ) => Promise<Pick<PreferenceReport, 'loss'> & { metrics: Record<string, number> | object }>,
): Promise<Report[]> {
  const reports: Report[] = [];
  for (let i = 0; i < train.length / batchSize; i++) {
    const { loss, metrics } = await step(train.slice(i * batchSize, (i + 1) * batchSize));
    const { gradientNorm } = await update(optimizer, updates, steps);
    reports.push({ loss, gradientNorm, metrics: metrics as Record<string, number> });
  }
  releaseOptimizer(optimizer);
  releaseModel(optimizer.model);
  return reports;
}

/**
 * Log-probabilities are not compared for ORPO and SimPO, which log means over tokens; their rewards hold the same
 * numbers.
 */
function expectRun(name: string, reports: readonly Report[], withLogProbs: boolean): void {
  const names = ['chosenReward', 'rejectedReward', 'chosenLogProb', 'rejectedLogProb', 'accuracy', 'kl'];
  expectNumbers(name, reports, withLogProbs ? names : names.filter((metric) => !metric.endsWith('LogProb')));
}

function expectNumbers(name: string, reports: readonly Report[], metrics: readonly string[]): void {
  const run = runs[name]!;
  for (const key of ['loss', 'gradientNorm'] as const) {
    const measured = reports.map((report) => report[key]);
    expect(largestRelativeDifference(measured, run[key].slice(0, reports.length)), key).toBeLessThan(bound);
  }
  for (const metric of metrics.filter((metric) => metric in run)) {
    for (const [step, expected] of run[metric]!.slice(0, reports.length).entries()) {
      // A tie, as when the policy equals its reference, counts as half right here and as wrong in TRL.
      if (metric === 'accuracy' && run.chosenReward?.[step] === 0) continue;
      const measured = reports[step]!.metrics[metric];
      if (expected === null) expect(measured, `${metric} of step ${step + 1}`).toBeUndefined();
      else {
        const scale = Math.max(1, Math.abs(expected));
        expect(Math.abs(measured! - expected) / scale, `${metric} of step ${step + 1}`).toBeLessThan(bound);
      }
    }
  }
}
