import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openDecoder } from '../../src/generation/decoder.ts';
import type { ModelConfig } from '../../src/model/config.ts';
import { llamaFamily } from '../../src/model/families/llama.ts';
import { headOf, hiddenStates, type Model, releaseModel } from '../../src/model/model.ts';
import { withPlacement } from '../../src/model/norm.ts';
import type { Backend } from '../../src/tensor/backends/backend.ts';
import { linear } from '../../src/tensor/fused/linear.ts';
import { backends, valuesOf } from './backends.ts';
import { largestDifference, readFixture } from './fixtures.ts';
import { formulaModel } from './formula.ts';
import { gradientsOfLoss } from './gradients.ts';

const { tokens: ids, models } = await readFixture<{
  tokens: number[];
  models: Record<string, { loss: number; logits: number[]; gradients: Record<string, number[]> }>;
}>('placements.json');
const tokens = Int32Array.from(ids);
const input = { tokens, positions: tokens.map((_, i) => i), segments: Int32Array.of(0, tokens.length) };

const sizes = { vocabSize: 7, hiddenSize: 4, intermediateSize: 6, layers: 3, heads: 2, kvHeads: 2, headDim: 2 };
const rest = { ropeTheta: 10000, rmsNormEps: 1e-6, maxLength: 16, tieWordEmbeddings: false };
const family = { name: 'llama', settings: {} };
const base: ModelConfig = { ...sizes, ...rest, family, norm: { name: 'pre', settings: {} } };

const configs: Record<string, ModelConfig> = {
  'mix-reversed': withPlacement(base, 'mix-reversed', { postLayers: 1 }),
  ...Object.fromEntries(
    ['lns', 'sandwich', 'peri', 'deepnorm', 'hybrid'].map((name) => [name, withPlacement(base, name)]),
  ),
  'hybrid with a Pre-LN layer': withPlacement(base, 'hybrid', { preLayers: 1 }),
  'pre with norms of queries and keys': { ...base, family: llamaFamily(true) },
  'mix with LayerNorm': { ...withPlacement(base, 'mix', { postLayers: 1 }), normKind: 'layer' },
  'lns with LayerNorm': { ...withPlacement(base, 'lns'), normKind: 'layer' },
};

test('each model of the reference is one of ours', () => {
  expect(Object.keys(models)).toEqual(Object.keys(configs));
});

describe.each(backends)('placements on $name', ({ open, bound }) => {
  let backend: Backend;
  beforeAll(async () => {
    backend = await open();
  });
  afterAll(() => backend.dispose());

  describe.each(Object.entries(models))('%s', (name, golden) => {
    let model: Model;
    beforeAll(() => {
      model = formulaModel(configs[name]!, backend);
    });
    afterAll(() => releaseModel(model));

    test('has the logits of its equation', async () => {
      const logits = await valuesOf(() => linear(hiddenStates(model, input), headOf(model)));
      expect(largestDifference(logits, golden.logits)).toBeLessThan(bound);
    });

    test('has the gradients of its equation, and the same bits if layers are recomputed', async () => {
      const gradients = await gradientsOfLoss(model, tokens);
      expect([...gradients.keys()]).toEqual(Object.keys(golden.gradients));
      for (const [name, expected] of Object.entries(golden.gradients)) {
        expect(largestDifference(gradients.get(name)!, expected), name).toBeLessThan(2 * bound);
      }
      expect(await gradientsOfLoss(model, tokens, { recompute: true })).toEqual(gradients);
    });

    test('has the same logits when decoding with a cache', async () => {
      const decoder = openDecoder(model, 1, tokens.length);
      const steps = [tokens.subarray(0, 2), ...Array.from(tokens.subarray(2), (token) => [token])];
      const logits: number[] = [];
      let position = 0;
      for (const step of steps) {
        const next = decoder.nextLogits([{ sequence: 0, position, tokens: step }]);
        logits.push(...(await backend.read(next)));
        next.release();
        position += step.length;
      }
      decoder.release();
      expect(largestDifference(logits, golden.logits.slice(base.vocabSize))).toBeLessThan(bound);
    });
  });
});
