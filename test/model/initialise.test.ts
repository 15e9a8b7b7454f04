import { expect, test } from 'vitest';
import { initialiseModel } from '../../src/model/initialise.ts';
import { releaseModel } from '../../src/model/model.ts';
import { withPlacement } from '../../src/model/norm.ts';
import { checkpointTensors } from '../../src/model/parameters.ts';
import { presetConfig } from '../../src/model/presets.ts';
import { RandomStream } from '../../src/random.ts';
import { PortableBackend } from '../../src/tensor/backends/portable.ts';
import { largestDifference } from '../golden/fixtures.ts';
import { thorough } from '../thorough.ts';

test.runIf(thorough)('a tensor of more elements than are in memory at once is one sequence of draws', async () => {
  const [vocabSize, hiddenSize] = [2 ** 15 + 3, 128];
  const config = { ...presetConfig('1m'), vocabSize, hiddenSize, layers: 1 };
  const backend = new PortableBackend('f32');
  const model = await initialiseModel(config, backend, 3, { std: 0.02, embeddingStd: 0.5 });
  const embedding = await backend.read(model.parameters.get('model.embed_tokens.weight')!);
  releaseModel(model);
  const random = new RandomStream(3, 'init/model.embed_tokens.weight');
  const different = embedding.findIndex((value) => value !== Math.fround(0.5 * random.normal()));
  expect(embedding).toHaveLength(vocabSize * hiddenSize);
  expect(different).toBe(-1);
});

test.each([
  ['mix', [0, 1]],
  ['lns', []],
])(
  'scaled initialisation divides outputs of Pre-LN layers of %s, and draws the same numbers',
  async (norm, postLayers) => {
    const sizes = { vocabSize: 7, hiddenSize: 8, intermediateSize: 6, heads: 2, kvHeads: 2, headDim: 4 };
    const config = withPlacement({ ...presetConfig('1m'), ...sizes }, norm, norm === 'mix' ? { postLayers: 2 } : {});
    const backend = new PortableBackend('f64');
    const [plain, scaled] = await Promise.all(
      [false, true].map((scaled) => initialiseModel(config, backend, 3, { std: 0.02, embeddingStd: 0.5, scaled })),
    );
    for (const [name, tensor] of plain!.parameters) {
      const [, layer, isOutput] = /layers\.(\d+)\..*(o_proj|down_proj)/.exec(name) ?? [];
      const isScaled = isOutput !== undefined && !postLayers.includes(Number(layer));
      const expected = [...(await backend.read(tensor))].map((value) => (isScaled ? value / Math.sqrt(8) : value));
      const actual = [...(await backend.read(scaled!.parameters.get(name)!))];
      expect(largestDifference(actual, expected), name).toBeLessThan(1e-8);
    }
  },
);

test("DeepNorm's values, outputs and MLP begin narrower by (8L)^-1/4, queries and keys do not", () => {
  const config = withPlacement({ ...presetConfig('1m'), vocabSize: 7 }, 'deepnorm');
  const narrower = checkpointTensors(config).filter(({ gain = 1 }) => gain !== 1);
  expect(new Set(narrower.map(({ gain }) => gain))).toEqual(new Set([32 ** -0.25]));
  const kinds = new Set(narrower.map(({ name }) => name.split('.').at(-2)));
  expect(kinds).toEqual(new Set(['v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj']));
});
