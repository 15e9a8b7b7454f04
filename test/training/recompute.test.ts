import { afterAll, describe, expect, test } from 'vitest';
import type { Sequence } from '../../src/data/batch.ts';
import type { ModelConfig } from '../../src/model/config.ts';
import { initialiseModel } from '../../src/model/initialise.ts';
import { releaseModel } from '../../src/model/model.ts';
import { withPlacement } from '../../src/model/norm.ts';
import { RandomStream } from '../../src/random.ts';
import type { Backend } from '../../src/tensor/backends/backend.ts';
import { createNativeBackend } from '../../src/tensor/backends/native/backend.ts';
import { nativeAvailability } from '../../src/tensor/backends/native/build.ts';
import { PortableBackend } from '../../src/tensor/backends/portable.ts';
import { languageModelLoss } from '../../src/training/language-model.ts';
import { newOptimizer, releaseOptimizer } from '../../src/training/optimizer.ts';

const config: ModelConfig = {
  vocabSize: 61,
  hiddenSize: 24,
  intermediateSize: 40,
  layers: 4,
  heads: 4,
  kvHeads: 2,
  headDim: 6,
  ropeTheta: 10000,
  rmsNormEps: 1e-5,
  maxLength: 1024,
  tieWordEmbeddings: true,
  family: { name: 'llama', settings: {} },
  norm: { name: 'mix', settings: { postLayers: 2 } },
};

const { available } = await nativeAvailability();
const backends: { name: string; open: () => Promise<Backend> }[] = [
  { name: 'portable', open: async () => new PortableBackend('f32') },
  ...(available
    ? [
        { name: 'native f32', open: () => createNativeBackend({ precision: 'f32' }) },
        { name: 'native bf16', open: () => createNativeBackend({ precision: 'bf16' }) },
      ]
    : []),
];

function sequencesOf(lengths: readonly number[]): Sequence[] {
  const random = new RandomStream(3, 'recompute');
  return lengths.map((length) => ({
    tokens: Int32Array.from({ length }, () => random.integer(config.vocabSize)),
    trained: new Uint8Array(length).fill(1, 1),
  }));
}

/** The loss of two micro-batches and the gradients of all parameters. */
async function gradientsOf(backend: Backend, recompute: boolean) {
  const model = await initialiseModel(config, backend, 1);
  const optimizer = newOptimizer(model, { recompute });
  const { loss } = await languageModelLoss(optimizer, [sequencesOf([9, 2, 17]), sequencesOf([30, 5])]);
  const gradients = new Map<string, number[]>();
  for (const [name, gradient] of optimizer.gradients) gradients.set(name, [...(await backend.read(gradient))]);
  releaseOptimizer(optimizer);
  releaseModel(model);
  return { loss, gradients };
}

describe.each(backends)('layers that are computed again on $name', ({ open }) => {
  const opened = open();
  afterAll(async () => (await opened).dispose());

  test('give the same loss and the same gradients to the bit', async () => {
    const backend = await opened;
    const kept = await gradientsOf(backend, false);
    expect(await gradientsOf(backend, true)).toEqual(kept);
    expect(backend.memory().used).toBe(0);
  });
});

test.runIf(available)('layers that are computed again take less memory', async () => {
  const heldFor = async (recompute: boolean): Promise<number> => {
    const backend = await createNativeBackend({ precision: 'f32' });
    const model = await initialiseModel(withPlacement({ ...config, layers: 12 }, 'mix'), backend, 1);
    const optimizer = newOptimizer(model, { recompute });
    await languageModelLoss(optimizer, [sequencesOf([1025, 1025])]);
    const { held } = backend.memory();
    await backend.dispose();
    return held;
  };
  const [kept, again] = [await heldFor(false), await heldFor(true)];
  expect(again).toBeLessThan(0.5 * kept);
});
