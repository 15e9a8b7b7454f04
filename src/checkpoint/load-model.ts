import type { Model } from '../model/model.ts';
import { readModel, tensorSource } from '../model/weights.ts';
import type { Backend } from '../tensor/backends/backend.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import type { ModelExtra, WeightDtype } from './hf-config.ts';
import { readModelDirectory, writeModelDirectory } from './model-directory.ts';

export interface LoadedModel {
  model: Model;
  extra: ModelExtra;
  /** Sentences for the user: what the files do not say and was inferred. */
  inferred: readonly string[];
}

/** Reads a Hugging Face model directory onto a backend. */
export async function loadModel(directory: string, backend: Backend): Promise<LoadedModel> {
  const { config, extra, inferred, read } = await readModelDirectory(directory);
  return { model: await readModel(config, backend, read), extra, inferred };
}

/** Writes a model and its tokenizer into an empty directory, as a Hugging Face model directory. */
export async function saveModel(
  directory: string,
  { config, parameters }: Model,
  { tokenizer, dtype = 'f32' }: { tokenizer: Tokenizer; dtype?: WeightDtype },
): Promise<void> {
  await writeModelDirectory(directory, {
    config,
    read: tensorSource(config, parameters),
    dtype,
    tokenizer,
    bosId: tokenizer.bosId,
    eosIds: tokenizer.eosId === undefined ? [] : [tokenizer.eosId],
    padId: tokenizer.padId,
  });
}
