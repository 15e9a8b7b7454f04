// A model directory with random weights of a preset, for measurements that start from a directory.
import { existsSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { models } from './environment.mjs';

/** The preset's directory, which is created if it does not exist. */
export async function freshModel(preset) {
  const directory = `${models}/${preset}`;
  if (existsSync(directory)) return directory;
  const { initialiseModel, openBackend, presetConfig, releaseModel, saveModel, trainTokenizer } = await import(
    '../../dist/index.js'
  );
  const { backend } = await openBackend();
  const model = await initialiseModel(presetConfig(preset), backend, 1);
  const tokenizer = trainTokenizer(['the quick brown fox jumps over the lazy dog'], { vocabSize: 300 });
  const partial = `${directory}.partial`;
  await rm(partial, { recursive: true, force: true });
  await mkdir(partial, { recursive: true });
  await saveModel(partial, model, { tokenizer });
  await rename(partial, directory);
  releaseModel(model);
  await backend.dispose();
  return directory;
}
