import v8 from 'node:v8';
import vm from 'node:vm';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Sequence } from '../../src/data/batch.ts';
import { initialiseModel } from '../../src/model/initialise.ts';
import { releaseModel } from '../../src/model/model.ts';
import { presetConfig } from '../../src/model/presets.ts';
import { createNativeBackend, type NativeBackend } from '../../src/tensor/backends/native/backend.ts';
import { nativeAvailability } from '../../src/tensor/backends/native/build.ts';
import { languageModelLoss } from '../../src/training/language-model.ts';
import { newOptimizer, releaseOptimizer, update } from '../../src/training/optimizer.ts';
import { thorough } from '../thorough.ts';

const { available } = await nativeAvailability();

v8.setFlagsFromString('--expose-gc');
const collectGarbage = vm.runInNewContext('gc') as () => void;
const heapBytes = () => v8.getHeapStatistics().used_heap_size;

const options = {
  lr: 1e-3,
  minLr: 0,
  warmup: 0,
  schedule: 'constant' as const,
  beta1: 0.9,
  beta2: 0.95,
  epsilon: 1e-8,
  weightDecay: 0.1,
  clip: 1,
};
const timedSteps = 100;

describe.runIf(available && thorough)('100 training steps', () => {
  let backend: NativeBackend;
  beforeAll(async () => {
    backend = await createNativeBackend({ precision: 'f32' });
  }, 300_000);
  afterAll(() => backend.dispose());

  /** What `timedSteps` steps of a small model do to memory, after some that are not counted. */
  async function measure(sequenceCount: number) {
    const config = { ...presetConfig('1m'), vocabSize: 64, norm: { name: 'pre', settings: {} } };
    const model = await initialiseModel(config, backend, 1);
    const optimizer = newOptimizer(model);
    const sequences = Array.from({ length: sequenceCount }, (_, i): Sequence => {
      const tokens = Int32Array.from({ length: 33 }, (_, t) => (t * 7 + i) % config.vocabSize);
      return { tokens, trained: new Uint8Array(33).fill(1, 1) };
    });
    const step = async () => {
      await languageModelLoss(optimizer, [sequences]);
      await update(optimizer, options, 1000);
    };
    const calls = async () => (await backend.profile()).reduce((sum, cost) => sum + cost.calls, 0);
    for (let i = 0; i < 50; i++) await step();

    const [callsBefore, memoryBefore] = [await calls(), backend.memory()];
    collectGarbage();
    const heapBefore = heapBytes();
    const growth: number[] = [];
    for (let i = 0; i < timedSteps; i++) {
      const before = heapBytes();
      await step();
      growth.push(heapBytes() - before);
    }
    collectGarbage();
    const kept = heapBytes() - heapBefore;
    const measured = {
      /** Of the median step: in some steps V8 collects, in others it compiles. */
      garbageBytes: growth.sort((a, b) => a - b)[timedSteps / 2]!,
      operations: ((await calls()) - callsBefore) / timedSteps,
      keptBytes: kept,
      memoryBefore,
      memoryAfter: backend.memory(),
    };
    releaseOptimizer(optimizer);
    releaseModel(model);
    return measured;
  }

  test('leave as garbage no more than what describes their operations, whatever the size of the batch', async () => {
    const [small, large] = [await measure(2), await measure(16)];
    console.log(
      `${(small.garbageBytes / 1000).toFixed(0)} kB of garbage a step of ${small.operations} operations, ` +
        `${(large.garbageBytes / 1000).toFixed(0)} kB with 8 times the rows`,
    );
    for (const { garbageBytes, operations, keptBytes } of [small, large]) {
      expect(garbageBytes / operations).toBeLessThan(2500);
      expect(keptBytes / timedSteps).toBeLessThan(5000);
    }
    expect(large.garbageBytes).toBeLessThan(1.5 * small.garbageBytes);
  });

  test('take no memory from the system and leave none in use', async () => {
    const { memoryBefore, memoryAfter } = await measure(4);
    expect(memoryAfter).toEqual(memoryBefore);
  });
});
