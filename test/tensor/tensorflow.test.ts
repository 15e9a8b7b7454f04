import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { releaseModel } from '../../src/model/model.ts';
import type { Backend } from '../../src/tensor/backends/backend.ts';
import { openBackend } from '../../src/tensor/backends/open.ts';
import { PortableBackend } from '../../src/tensor/backends/portable.ts';
import { createTensorFlowBackend } from '../../src/tensor/backends/tensorflow/backend.ts';
import {
  loadTensorFlow,
  type TensorFlow,
  tensorflowAvailability,
} from '../../src/tensor/backends/tensorflow/library.ts';
import { add, exp } from '../../src/tensor/primitives.ts';
import { empty, filled, fromHost } from '../../src/tensor/scope.ts';
import { languageModelLoss } from '../../src/training/language-model.ts';
import { newOptimizer, releaseOptimizer, update } from '../../src/training/optimizer.ts';
import { largestDifference } from '../golden/fixtures.ts';
import { fixtures, goldenModel, sequenceOf } from '../golden/runs.ts';

const { available, reason } = await tensorflowAvailability();
if (!available) console.log(`the tensorflow backend is not tested: ${reason}`);

test.runIf(!available)('where it is not installed, asking for it says how to get it', async () => {
  await expect(openBackend({ backend: 'tensorflow' })).rejects.toThrow(/npm run backend:tensorflow/);
});

test('products in bfloat16 are refused', async () => {
  await expect(openBackend({ backend: 'tensorflow', precision: 'bf16' })).rejects.toThrow(/computes in f32 only/);
});

describe.runIf(available)('the tensorflow backend', () => {
  let backend: Backend;
  let tf: TensorFlow;
  beforeAll(async () => {
    backend = await createTensorFlowBackend();
    tf = await loadTensorFlow();
  });
  afterAll(() => backend.dispose());

  test('keeps no tensor from one training step to the next, and none after the last', async () => {
    const before = tf.memory().numTensors;
    const counts = new Set<number>();
    for await (const _ of trainTinyModel(backend)) counts.add(tf.memory().numTensors);
    expect(counts.size).toBe(1);
    expect(tf.memory().numTensors).toBe(before);
  });

  test('has the losses of plain TypeScript over 20 training steps', async () => {
    const losses = async (which: Backend) => {
      const values: number[] = [];
      for await (const loss of trainTinyModel(which)) values.push(loss);
      return values;
    };
    const [actual, expected] = [await losses(backend), await losses(new PortableBackend('f32'))];
    expect(expected[19]).toBeLessThan(expected[0]! - 0.1);
    expect(largestDifference(actual, expected)).toBeLessThan(1e-4);
  });

  test('copies what is written and what is read', async () => {
    const data = Float32Array.of(1, 2, 3, 4);
    const x = fromHost(backend, data);
    data.fill(9);
    ((await backend.read(x)) as Float32Array).fill(8);
    expect(await backend.read(x)).toEqual(Float32Array.of(1, 2, 3, 4));
    x.release();
  });

  test('writes a part, also into memory that nothing was written to before', async () => {
    const [x, y] = [fromHost(backend, Float32Array.of(1, 2, 3, 4), [2, 2]), empty(backend, [3])];
    backend.write(x, Float32Array.of(7, 8), 1);
    backend.write(y, Float32Array.of(5), 2);
    expect(await backend.read(x)).toEqual(Float32Array.of(1, 7, 8, 4));
    expect(await backend.read(y)).toEqual(Float32Array.of(0, 0, 5));
    for (const tensor of [x, y]) tensor.release();
  });

  test('a view sees what is written to its tensor, and a copy does not', async () => {
    const x = fromHost(backend, Float32Array.of(1, 2, 3, 4), [2, 2]);
    const [view, copy, ones] = [x.view([4]), filled(backend, [2, 2], 0), filled(backend, [4], 1)];
    backend.unary('copy', x, copy);
    backend.fill(x, 5);
    backend.addScaled(ones, 2, view);
    expect(await backend.read(x)).toEqual(Float32Array.of(7, 7, 7, 7));
    expect(await backend.read(copy)).toEqual(Float32Array.of(1, 2, 3, 4));
    for (const tensor of [x, view, copy, ones]) tensor.release();
  });

  test('gives everything back when it is disposed of', async () => {
    const before = tf.memory().numTensors;
    const other = await createTensorFlowBackend();
    const x = fromHost(other, Float32Array.of(1, 2));
    exp(add(x, 1));
    expect(other.memory().used).toBeGreaterThan(0);
    await other.dispose();
    x.release();
    expect(other.memory().used).toBe(0);
    expect(tf.memory().numTensors).toBe(before);
  });
});

/** Ten updates' windows of the golden pre-training, twice over. */
const windows = [...fixtures.pretrain.windows, ...fixtures.pretrain.windows].map((microBatches) =>
  microBatches.map((rows) => rows.map(sequenceOf)),
);
const adam = { beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0.1, clip: 1 };
const options = { ...adam, lr: 0.01, schedule: 'cosine', warmup: 2, minLr: 0.1 } as const;

/** Trains a tiny Mix-LN model for 20 updates and yields the loss before each. */
async function* trainTinyModel(backend: Backend): AsyncGenerator<number> {
  const model = await goldenModel('mix', backend);
  const optimizer = newOptimizer(model);
  for (const microBatches of windows) {
    const { loss } = await languageModelLoss(optimizer, microBatches);
    await update(optimizer, options, windows.length);
    yield loss;
  }
  releaseOptimizer(optimizer);
  releaseModel(model);
}
