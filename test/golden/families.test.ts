import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { ModelConfig } from '../../src/model/config.ts';
import { headOf, hiddenStates, type Model, releaseModel } from '../../src/model/model.ts';
import type { Backend, HostArray } from '../../src/tensor/backends/backend.ts';
import { crossEntropy } from '../../src/tensor/fused/cross-entropy.ts';
import { linear } from '../../src/tensor/fused/linear.ts';
import { filled } from '../../src/tensor/scope.ts';
import { Tape } from '../../src/tensor/tape.ts';
import { backends, valuesOf } from './backends.ts';
import { largestDifference, readFixture } from './fixtures.ts';
import { formulaModel } from './formula.ts';

vi.mock(import('../../src/model/families/index.ts'), async (original) => {
  const [{ families }, { toyFamily }] = await Promise.all([original(), import('../model/toy-family.ts')]);
  return { families: [...families, toyFamily] };
});

const { tokens: ids, models } = await readFixture<{
  tokens: number[];
  models: Record<'qwen2' | 'smollm3', { logits: number[][]; biasGradients: Record<string, number[]> }>;
}>('families.json');
const tokens = Int32Array.from(ids);
const input = { tokens, positions: tokens.map((_, i) => i), segments: Int32Array.of(0, tokens.length) };

const sizes = { vocabSize: 11, hiddenSize: 8, intermediateSize: 12, layers: 3, heads: 4, kvHeads: 2, headDim: 2 };
const rest = { ropeTheta: 100, rmsNormEps: 1e-6, maxLength: 16, tieWordEmbeddings: false };
const norm = { name: 'pre', settings: {} };
const toy = (unrotated: readonly number[]): ModelConfig => {
  return { ...sizes, ...rest, norm, family: { name: 'toy', settings: { stretch: 4, unrotated } } };
};

/** transformers takes norms and angles in float32. */
const theirError = 1e-6;

describe.each(backends)('the toy family gives what transformers gives on $name', ({ open, bound }) => {
  let backend: Backend;
  beforeAll(async () => {
    backend = await open();
  });
  afterAll(() => backend.dispose());

  test.each([
    { name: 'qwen2', unrotated: [] },
    { name: 'smollm3', unrotated: [1] },
  ] as const)('as $name, not rotated in the layers $unrotated', async ({ name, unrotated }) => {
    const model = formulaModel(toy(unrotated), backend);
    const { logits, biasGradients } = models[name];
    const ours = await valuesOf(() => linear(hiddenStates(model, input), headOf(model)));
    expect(largestDifference(ours, logits.flat())).toBeLessThan(bound + theirError);
    const gradients = await gradientsOfLoss(model);
    expect(Object.keys(biasGradients)).toHaveLength(9);
    for (const [name, expected] of Object.entries(biasGradients)) {
      expect(largestDifference(gradients.get(name)!, expected), name).toBeLessThan(bound + theirError);
    }
    releaseModel(model);
  });
});

/** Gradients of the mean next-token loss by the names of tensors that are one parameter each. */
async function gradientsOfLoss(model: Model): Promise<Map<string, HostArray>> {
  const { backend, parameters } = model;
  const leaves = new Map([...parameters.values()].map((tensor) => [tensor, filled(backend, tensor.shape, 0)]));
  const tape = new Tape(leaves);
  const targets = Int32Array.of(...tokens.subarray(1), -1);
  const weights = new Float32Array(tokens.length).fill(1 / (tokens.length - 1));
  const loss = tape.record(() => crossEntropy(hiddenStates(model, input), headOf(model), targets, weights));
  tape.backward(loss);
  loss.release();
  const gradients = new Map<string, HostArray>();
  for (const [name, tensor] of parameters) {
    const gradient = leaves.get(tensor)!;
    gradients.set(name, await backend.read(gradient));
    gradient.release();
  }
  return gradients;
}
