import { describe, expect, test } from 'vitest';
import { releaseModel } from '../../src/model/model.ts';
import { createNativeBackend } from '../../src/tensor/backends/native/backend.ts';
import { nativeAvailability } from '../../src/tensor/backends/native/build.ts';
import { languageModelLoss } from '../../src/training/language-model.ts';
import { newOptimizer, releaseOptimizer, update } from '../../src/training/optimizer.ts';
import { readFixture } from './fixtures.ts';
import { fixtures, goldenModel, modelNames, sequenceOf } from './runs.ts';

interface Fixture {
  learningRate: number;
  /** Losses of 200 updates in PyTorch. */
  runs: Record<(typeof modelNames)[number], { float32: number[]; autocast: number[] }>;
}

const { available, reason } = await nativeAvailability();
if (!available) console.log(`bf16 training is not tested: ${reason}`);
const { learningRate, runs } = await readFixture<Fixture>('bf16.json');
const { beta1, beta2, epsilon, weightDecay } = fixtures.pretrain.optimiser;
const options = {
  lr: learningRate,
  schedule: 'constant' as const,
  warmup: 0,
  minLr: 0,
  beta1,
  beta2,
  epsilon,
  weightDecay,
  clip: 1,
};

describe.runIf(available)('200 updates with bf16 products', () => {
  test.each(modelNames)('%s stays as close to float32 as autocast in PyTorch does', async (name) => {
    const backend = await createNativeBackend({ precision: 'bf16' });
    const optimizer = newOptimizer(await goldenModel(name, backend));
    const { windows } = fixtures.pretrain;
    const { float32, autocast } = runs[name];
    const losses: number[] = [];
    for (let step = 0; step < float32.length; step++) {
      const microBatches = windows[step % windows.length]!.map((rows) => rows.map(sequenceOf));
      losses.push((await languageModelLoss(optimizer, microBatches)).loss);
      await update(optimizer, options, float32.length);
    }
    releaseModel(optimizer.model);
    releaseOptimizer(optimizer);
    await backend.dispose();
    const distances = (run: readonly number[]): number[] => run.map((loss, step) => Math.abs(loss - float32[step]!));
    const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;
    const [ours, theirs] = [distances(losses), distances(autocast)];
    console.log(
      `${name}: off by ${mean(ours).toFixed(5)} on average, PyTorch's autocast by ${mean(theirs).toFixed(5)}`,
    );
    expect(losses.at(-1)).toBeLessThan(0.7 * losses[0]!);
    expect(mean(ours)).toBeLessThan(mean(theirs));
    expect(Math.max(...ours)).toBeLessThan(1.5 * Math.max(...theirs));
  });
});
