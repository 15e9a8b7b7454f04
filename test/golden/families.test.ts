import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { ModelConfig } from '../../src/model/config.ts';
import { headOf, hiddenStates, releaseModel } from '../../src/model/model.ts';
import type { Backend } from '../../src/tensor/backends/backend.ts';
import { linear } from '../../src/tensor/fused/linear.ts';
import { backends, valuesOf } from './backends.ts';
import { largestDifference, readFixture } from './fixtures.ts';
import { formulaModel } from './formula.ts';
import { gradientsOfLoss } from './gradients.ts';

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

/** transformers computes norms and angles in float32. */
const theirError = 1e-6;

describe.each(backends)('the toy family agrees with transformers on $name', ({ open, bound }) => {
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
    const gradients = await gradientsOfLoss(model, tokens);
    expect(Object.keys(biasGradients)).toHaveLength(9);
    for (const [name, expected] of Object.entries(biasGradients)) {
      expect(largestDifference(gradients.get(name)!, expected), name).toBeLessThan(bound + theirError);
    }
    releaseModel(model);
  });
});
