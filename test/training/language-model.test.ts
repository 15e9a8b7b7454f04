import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Sequence } from '../../src/data/batch.ts';
import { DataCursor } from '../../src/data/cursor.ts';
import { initialiseModel } from '../../src/model/initialise.ts';
import { type Model, releaseModel } from '../../src/model/model.ts';
import { withPlacement } from '../../src/model/norm.ts';
import { presetConfig } from '../../src/model/presets.ts';
import { copyModel } from '../../src/model/weights.ts';
import { PortableBackend } from '../../src/tensor/backends/portable.ts';
import { fromHost } from '../../src/tensor/scope.ts';
import { languageModelLoss, meanLoss, nextMicroBatches } from '../../src/training/language-model.ts';
import { newOptimizer, releaseOptimizer, update } from '../../src/training/optimizer.ts';
import { logLikelihoods } from '../../src/training/sequence-log-probs.ts';
import { gradientOf } from '../../src/training/window.ts';

let model: Model;
beforeAll(async () => {
  const base = { ...presetConfig('1m'), vocabSize: 19, hiddenSize: 16, intermediateSize: 24, layers: 2, heads: 4 };
  const config = withPlacement({ ...base, kvHeads: 2, headDim: 4 }, 'mix', { postLayers: 1 });
  model = await initialiseModel(config, new PortableBackend('f64'), 5, { std: 0.3, embeddingStd: 0.6 });
});
afterAll(() => releaseModel(model));

/** Of different lengths, with two trained tokens each, and one with more. */
const sequences: Sequence[] = [
  [0, 0, 1, 1],
  [0, 1, 0, 0, 0, 1, 0],
  [0, 1, 1, 1, 1],
].map((trained, i) => ({
  tokens: Int32Array.from(trained, (_, t) => (5 * i + 3 * t + 1) % 19),
  trained: Uint8Array.from(trained),
}));
const trainedTokens = 8;

describe('micro-batches', () => {
  const rows = Array.from({ length: 11 }, (_, i) => i);
  const sizesOf = (cursor: DataCursor, options: { batchSize: number; accumulate: number }) =>
    nextMicroBatches(cursor, rows, options).map((batch) => batch.length);

  test('of a window are of one size, the last of an epoch may be short', () => {
    const cursor = new DataCursor(rows.length, 1);
    const options = { batchSize: 2, accumulate: 3 };
    expect(sizesOf(cursor, options)).toEqual([2, 2, 2]);
    expect(sizesOf(cursor, options)).toEqual([2, 2, 1]);
    expect(sizesOf(cursor, options)).toEqual([2, 2, 2]);
  });

  test('of an epoch hold each row once', () => {
    const cursor = new DataCursor(rows.length, 1);
    const epoch = [0, 1, 2].flatMap(() => nextMicroBatches(cursor, rows, { batchSize: 4, accumulate: 1 }).flat());
    expect(epoch.sort((a, b) => a - b)).toEqual(rows);
    expect(nextMicroBatches(cursor, rows, { batchSize: 11, accumulate: 1 })).not.toEqual([rows]);
  });
});

describe('means are over trained tokens', () => {
  const expected = async () => -(await logLikelihoods(model, sequences)).reduce((a, b) => a + b, 0) / trainedTokens;

  test.each([4096, 4, 1])('in an evaluation, %d tokens in a pass', async (rowsAtOnce) => {
    const { loss, tokens } = await meanLoss(model, sequences, rowsAtOnce);
    expect(tokens).toBe(trainedTokens);
    // The weights of the loss are float32.
    expect(loss).toBeCloseTo(await expected(), 6);
  });

  test.each([[[3]], [[1, 2]], [[2, 1]], [[1, 1, 1]]])('of a window cut into micro-batches of %o', async (sizes) => {
    const optimizer = newOptimizer(model);
    const left = [...sequences];
    const batches = sizes.map((size) => left.splice(0, size));
    const report = await languageModelLoss(optimizer, batches, 0.5);
    expect(report).toMatchObject({ trainedTokens, tokens: 4 + 7 + 5 - 3 });
    expect(report.loss).toBeCloseTo(await expected(), 6);
    releaseOptimizer(optimizer);
  });
});

test('a loss that is not finite is an error of its step', async () => {
  const optimizer = { ...newOptimizer(model), step: 6 };
  const lossOf = async (...losses: number[]) => {
    const window = losses.map((loss) => [loss]);
    const { loss } = await gradientOf(optimizer, window, ([value]) => ({
      loss: fromHost(model.backend, Float64Array.of(value!), [1]),
    }));
    return loss;
  };
  expect(await lossOf(1, 2)).toBe(3);
  for (const broken of [Number.NaN, Number.POSITIVE_INFINITY]) {
    await expect(lossOf(1, broken)).rejects.toThrow(`the loss of step 7 is ${broken}`);
  }
  releaseOptimizer(optimizer);
});

test('a gradient that is not finite is an error of its step', async () => {
  const options = { lr: 1e-3, minLr: 1, warmup: 0, schedule: 'constant', weightDecay: 0, clip: 1 } as const;
  const copy = copyModel(model);
  const optimizer = newOptimizer(copy);
  await languageModelLoss(optimizer, [sequences]);
  model.backend.fill(optimizer.gradients.get('model.norm.weight')!, Number.NaN);
  await expect(update(optimizer, { ...options, beta1: 0.9, beta2: 0.95, epsilon: 1e-8 }, 5)).rejects.toThrow(
    'the gradient norm of step 1 is NaN',
  );
  releaseOptimizer(optimizer);
  releaseModel(copy);
});
