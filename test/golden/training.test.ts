import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { packSequences } from '../../src/data/batch.ts';
import { type PreferenceLoss, preferenceLoss } from '../../src/losses/preference.ts';
import { headOf, hiddenStates, type Model } from '../../src/model/model.ts';
import { checkpointTensors } from '../../src/model/parameters.ts';
import { copyModel, tensorSource } from '../../src/model/weights.ts';
import type { Backend } from '../../src/tensor/backends/backend.ts';
import { crossEntropy } from '../../src/tensor/fused/cross-entropy.ts';
import { mul, slice, sub, sum } from '../../src/tensor/primitives.ts';
import { fromHost } from '../../src/tensor/scope.ts';
import { Tape } from '../../src/tensor/tape.ts';
import type { Tensor } from '../../src/tensor/tensor.ts';
import { leavesOf, newOptimizer, type Optimizer, update } from '../../src/training/optimizer.ts';
import { sequenceLogProbs } from '../../src/training/sequence-log-probs.ts';
import { backends, valuesOf } from './backends.ts';
import { largestDifference, largestRelativeDifference } from './fixtures.ts';
import {
  dpo,
  type Fixture,
  goldenModel,
  modelNames,
  type Pair,
  pretrain,
  type Row,
  type Run,
  sequenceOf,
  sft,
} from './runs.ts';

/** The losses of a window's micro-batches; their sum is the loss of the window. */
type WindowLoss<Item> = (model: Model, window: Item[][]) => Promise<(() => Tensor)[]>;

const preferenceLosses: Record<string, PreferenceLoss> = {
  sigmoid: { loss: 'dpo', beta: 0.1, labelSmoothing: 0 },
  'sigmoid-smoothed': { loss: 'dpo', beta: 0.1, labelSmoothing: 0.1 },
  ipo: { loss: 'ipo', beta: 0.1, labelSmoothing: 0 },
  hinge: { loss: 'hinge', beta: 0.1, labelSmoothing: 0 },
};
describe.each(backends)('ten updates on $name', ({ open }) => {
  let backend: Backend;
  beforeAll(async () => {
    backend = await open();
  });
  afterAll(() => backend.dispose());

  describe.each(modelNames)('%s', (name) => {
    test('pre-training', async () => {
      await expectGoldenRun(await goldenModel(name, backend), pretrain, pretrain.runs[name], languageModelLoss);
    });

    test('SFT: ragged rows, masks, two micro-batches an update', async () => {
      await expectGoldenRun(await goldenModel(name, backend), sft, sft.runs[name], languageModelLoss);
    });

    test.each(Object.keys(preferenceLosses))('DPO with the loss %s', async (loss) => {
      const model = await goldenModel(name, backend);
      const windowLoss = preferenceWindowLoss(copyModel(model), preferenceLosses[loss]!);
      await expectGoldenRun(model, dpo, dpo.runs[loss]![name], windowLoss);
    });
  });
});

async function expectGoldenRun<Item>(
  model: Model,
  { schedule, optimiser, windows }: Fixture<Item, unknown>,
  golden: Run,
  windowLoss: WindowLoss<Item>,
): Promise<void> {
  const { maxGradientNorm: clip, ...adamW } = optimiser;
  const { learningRate: lr, warmupSteps: warmup, floor: minLr } = schedule;
  const optimizer = newOptimizer(model);
  const records: Record<'loss' | 'gradientNorm' | 'learningRate', number>[] = [];
  for (const window of windows) {
    const loss = await gatherGradients(optimizer, await windowLoss(model, window));
    if (optimizer.step === 0 && golden.firstGradients) await expectGradients(optimizer, golden.firstGradients);
    const options = { ...adamW, clip, lr, warmup, minLr, schedule: 'cosine' } as const;
    records.push({ loss, ...(await update(optimizer, options, schedule.steps)) });
  }
  for (const key of ['loss', 'gradientNorm', 'learningRate'] as const) {
    const measured = records.map((record) => record[key]);
    expect(largestRelativeDifference(measured, golden.float64[key]), key).toBeLessThan(1e-5);
  }
}

async function gatherGradients(optimizer: Optimizer, losses: (() => Tensor)[]): Promise<number> {
  let total = 0;
  for (const loss of losses) {
    const tape = new Tape(leavesOf(optimizer));
    const value = tape.record(loss);
    tape.backward(value);
    total += (await value.backend.read(value))[0]!;
    value.release();
  }
  return total;
}

async function expectGradients(
  { model, gradients }: Optimizer,
  golden: NonNullable<Run['firstGradients']>,
): Promise<void> {
  const read = tensorSource(model.config, gradients);
  for (const { name } of checkpointTensors(model.config)) {
    const gradient = await read(name);
    const { norm, projection } = golden[name]!;
    const measured = [Math.hypot(...gradient), gradient.reduce((s, g, k) => s + g * Math.sin(0.37 * k + 0.2), 0)];
    expect(largestDifference(measured, [norm, projection]), name).toBeLessThan(1e-5 * norm);
  }
}

/** Mean cross-entropy over the trained tokens of the whole window. */
const languageModelLoss: WindowLoss<Row> = async (model, window) => {
  const batches = window.map((rows) => packSequences(rows.map(sequenceOf)));
  const trainedTokens = batches.reduce((total, batch) => total + batch.trainedTokens, 0);
  return batches.map((batch) => () => {
    const weights = new Float32Array(batch.targets.length).fill(1 / trainedTokens);
    return crossEntropy(hiddenStates(model, batch), headOf(model), batch.targets, weights);
  });
};

/** Mean preference loss over the pairs of the whole window. */
const preferenceWindowLoss =
  (reference: Model, loss: PreferenceLoss): WindowLoss<Pair> =>
  async (model, window) => {
    const pairs = window.flat().length;
    return Promise.all(
      window.map(async (rows) => {
        const sides = [...rows.map(({ chosen }) => chosen), ...rows.map(({ rejected }) => rejected)];
        const batch = packSequences(sides.map(sequenceOf));
        const referenceLogProbs = await valuesOf(() => sequenceLogProbs(reference, batch));
        return () => {
          const moved = sub(sequenceLogProbs(model, batch), fromHost(model.backend, referenceLogProbs));
          const margin = sub(slice(moved, 0, 0, rows.length), slice(moved, 0, rows.length, rows.length));
          return mul(sum(preferenceLoss(margin, loss)), 1 / pairs);
        };
      }),
    );
  };
