import { expect, test } from 'vitest';
import { initialiseModel } from '../../src/model/initialise.ts';
import { releaseModel } from '../../src/model/model.ts';
import { presetConfig } from '../../src/model/presets.ts';
import { RandomStream } from '../../src/random.ts';
import { PortableBackend } from '../../src/tensor/backends/portable.ts';

test('a tensor of more elements than are in memory at once is one sequence of draws', async () => {
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
