import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import {
  generateText,
  initialiseModel,
  loadModel,
  loadTokenizer,
  openBackend,
  presetConfig,
  releaseModel,
  saveModel,
  trainTokenizer,
  withPlacement,
} from '../src/index.ts';

test('the example of the README: train a tokenizer, make a model, save it, load it, let it write', async () => {
  const { backend } = await openBackend({ precision: 'f32' });
  const directory = await mkdtemp(join(tmpdir(), 'mixtune-api-'));
  const tokenizer = trainTokenizer(['the cat sat on the mat, the dog sat on the cat'], { vocabSize: 300 });
  const config = withPlacement({ ...presetConfig('1m'), vocabSize: tokenizer.vocabSize }, 'mix', { postLayers: 1 });
  const made = await initialiseModel(config, backend, 1);
  await saveModel(directory, made, { tokenizer });

  const { model } = await loadModel(directory, backend);
  const loaded = await loadTokenizer(directory);
  const options = { maxNewTokens: 5, stopIds: [] };
  const [fromText, fromChat] = await generateText(
    model,
    loaded,
    ['the cat', [{ role: 'user', content: 'hello' }]],
    options,
  );
  expect(fromText!.tokens).toHaveLength(5);
  expect(fromChat!.tokens).toHaveLength(5);
  expect(await generateText(made, tokenizer, ['the cat'], options)).toEqual([fromText]);
  expect(model.config).toEqual(config);

  releaseModel(model);
  releaseModel(made);
  await backend.dispose();
});
