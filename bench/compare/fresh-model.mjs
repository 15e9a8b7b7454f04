// A model directory with random weights of a preset, for what is measured from a directory on.
import { existsSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { models } from './environment.mjs';

/** The directory of the preset, made if it is not there. */
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
