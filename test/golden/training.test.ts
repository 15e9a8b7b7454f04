import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { DataCursor } from '../../src/data/cursor.ts';
import { type Model, releaseModel } from '../../src/model/model.ts';
import { checkpointTensors } from '../../src/model/parameters.ts';
import { tensorSource } from '../../src/model/weights.ts';
import { dpo } from '../../src/stages/dpo.ts';
import { dpoSchema } from '../../src/stages/dpo-schema.ts';
import { pretrain, pretrainSchema } from '../../src/stages/pretrain.ts';
import { sft, sftSchema } from '../../src/stages/sft.ts';
import type { StepRecord } from '../../src/stages/stage.ts';
import type { Backend } from '../../src/tensor/backends/backend.ts';
import { trainTokenizer } from '../../src/tokenizer/train.ts';
import { languageModelLoss } from '../../src/training/language-model.ts';
import { newOptimizer, type Optimizer, releaseOptimizer } from '../../src/training/optimizer.ts';
import { type PairObjective, preferenceStep } from '../../src/training/preference.ts';
import { newWatch } from '../../src/training/preference-checks.ts';
import { newTrainingState, releaseTrainingState } from '../../src/training/state.ts';
import { trainingBackends } from './backends.ts';
import { largestDifference, largestRelativeDifference } from './fixtures.ts';
import { type Fixture, fixtures, goldenModel, modelNames, type Run, sequenceOf, withReference } from './runs.ts';

const common = { beta: 0.1, labelSmoothing: 0, gamma: 0, nllWeight: 0 };
const preferenceLosses: Record<string, PairObjective> = {
  sigmoid: { ...common, loss: 'dpo' },
  'sigmoid-smoothed': { ...common, loss: 'dpo', labelSmoothing: 0.1 },
  ipo: { ...common, loss: 'ipo' },
  hinge: { ...common, loss: 'hinge' },
};
const seed = 1;
/** Stages need a tokenizer, but do not use it here. */
const tokenizer = trainTokenizer(['a'], { vocabSize: 261 });

describe.each(trainingBackends)('golden training on $name', ({ open, bound, updates }) => {
  let backend: Backend;
  beforeAll(async () => {
    backend = await open();
  });
  afterAll(() => backend.dispose());

  describe.each(modelNames)('%s', (name) => {
    test('updates of pre-training', async () => {
      const fixture = fixtures.pretrain;
      const config = pretrainSchema.parse({ tokenizer: 'none', data: 'none', ...optionsOf(fixture) });
      const windows = inCursorOrder(fixture.windows.flat(2).map((row) => [sequenceOf(row)]));
      const state = { ...stateOf(await goldenModel(name, backend), windows), windows, heldOut: [] };
      await expectRecords(pretrain(config, state), fixture.runs[name], { bound, updates: 10 });
      releaseTrainingState(state);
    });

    test('updates of SFT: ragged rows, masks, two micro-batches each', async () => {
      const fixture = fixtures.sft;
      const config = sftSchema.parse({ from: 'none', data: 'none', ...optionsOf(fixture) });
      const rows = inCursorOrder(fixture.windows.flat(2).map(sequenceOf));
      const state = { ...stateOf(await goldenModel(name, backend), rows), rows, heldOut: [], prompts: [] };
      await expectRecords(sft(config, state), fixture.runs[name], { bound, updates: 10 });
      releaseTrainingState(state);
    });

    test.each(Object.keys(preferenceLosses))('updates of DPO with the loss %s', async (loss) => {
      const fixture = fixtures.dpo;
      const { loss: kind, labelSmoothing } = preferenceLosses[loss]!;
      const config = dpoSchema.parse({
        from: 'none',
        data: 'none',
        ...optionsOf(fixture),
        loss: kind,
        labelSmoothing,
      });
      const model = await goldenModel(name, backend);
      const train = inCursorOrder(await withReference(model, fixture.windows.slice(0, updates).flat(2)));
      const data = { kind: 'pairs' as const, objective: preferenceLosses[loss]!, train, heldOut: [], prompts: [] };
      const state = { ...stateOf(model, train), data, watch: newWatch() };
      await expectRecords(dpo(config, state, { log: () => {} }), fixture.runs[loss]![name], { bound, updates });
      releaseTrainingState(state);
    });

    test('gradients of the first update', async () => {
      const model = await goldenModel(name, backend);
      for (const { windows, runs } of [fixtures.pretrain, fixtures.sft]) {
        const microBatches = windows[0]!.map((rows) => rows.map(sequenceOf));
        await expectGradients(model, runs[name], bound, (optimizer) => languageModelLoss(optimizer, microBatches));
      }
      const { windows, runs } = fixtures.dpo;
      const microBatches = await Promise.all(windows[0]!.map((pairs) => withReference(model, pairs)));
      await expectGradients(model, runs.sigmoid![name], bound, (optimizer) =>
        preferenceStep(optimizer, microBatches, preferenceLosses.sigmoid!),
      );
      releaseModel(model);
    });
  });
});

function optionsOf({ schedule, optimiser, windows }: Fixture<unknown, unknown>) {
  const { maxGradientNorm: clip, ...adamW } = optimiser;
  const { steps, learningRate: lr, warmupSteps: warmup, floor: minLr } = schedule;
  const [accumulate, batchSize] = [windows[0]!.length, windows[0]![0]!.length];
  return { ...adamW, clip, steps, lr, warmup, minLr, schedule: 'cosine', accumulate, batchSize };
}

const stateOf = (model: Model, rows: readonly unknown[]) =>
  newTrainingState(model, { rows: rows.length, seed, recompute: false }, tokenizer);

/** `rows` permuted so that the shuffling cursor returns them in the order of the fixture. */
function inCursorOrder<T>(rows: readonly T[]): T[] {
  const placed: T[] = [];
  new DataCursor(rows.length, seed).next(rows.length).forEach((index, turn) => {
    placed[index] = rows[turn]!;
  });
  return placed;
}

async function expectRecords(
  steps: AsyncGenerator<StepRecord, unknown>,
  golden: Run,
  { bound, updates }: { bound: number; updates: number },
): Promise<void> {
  const records: StepRecord[] = [];
  for await (const record of steps) if (records.push(record) === updates) break;
  const of = (values: readonly number[]) => values.slice(0, updates);
  for (const key of ['loss', 'gradientNorm', 'learningRate'] as const) {
    const measured = records.map((record) => record[key]!);
    expect(largestRelativeDifference(measured, of(golden.float64[key])), key).toBeLessThan(bound);
  }
  for (const key of ['chosenReward', 'rejectedReward'] as const) {
    const expected = golden.float64[key];
    if (!expected) continue;
    const measured = records.map((record) => record[key]!);
    expect(largestDifference(measured, of(expected)), key).toBeLessThan(bound);
  }
}

async function expectGradients(
  model: Model,
  { firstGradients }: Run,
  bound: number,
  gather: (optimizer: Optimizer) => Promise<unknown>,
): Promise<void> {
  const optimizer = newOptimizer(model);
  await gather(optimizer);
  const read = tensorSource(model.config, optimizer.gradients);
  for (const { name } of checkpointTensors(model.config)) {
    const gradient = await read(name);
    const { norm, projection } = firstGradients![name]!;
    const measured = [Math.hypot(...gradient), gradient.reduce((s, g, k) => s + g * Math.sin(0.37 * k + 0.2), 0)];
    expect(largestDifference(measured, [norm, projection]), name).toBeLessThan(bound * norm);
  }
  releaseOptimizer(optimizer);
}
