import { RequestError } from '../errors.ts';
import type { Model } from '../model/model.ts';
import { readModel, tensorSource } from '../model/weights.ts';
import type { Backend } from '../tensor/backends/backend.ts';
import { withEndToken } from '../tokenizer/generation-config.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import type { ModelExtra, WeightDtype } from './hf-config.ts';
import { requireMemory } from './memory.ts';
import { readModelDirectory, writeModelDirectory } from './model-directory.ts';
import { paddingIdOf, writePaddingToken } from './padding-token.ts';

export interface LoadedModel {
  model: Model;
  extra: ModelExtra;
}

/**
 * Reads the Hugging Face directory of a language model onto a backend.
 * @throws RequestError if it is a reward model
 */
export async function loadModel(directory: string, backend: Backend): Promise<LoadedModel> {
  const { config, extra, read } = await readModelDirectory(directory);
  if (config.head === 'score') {
    throw new RequestError(
      {
        message: `is a reward model (${extra.architecture}), which scores texts and generates none`,
        hint: 'give the language model that it was trained from',
      },
      directory,
    );
  }
  requireMemory(config, directory, backend.limits);
  return { model: await readModel(config, backend, read), extra };
}

/**
 * Writes a trained language or reward model and its tokenizer into an empty directory, in the layout of Hugging Face.
 * The generation settings of the model it was trained from are kept.
 */
export async function saveModel(
  directory: string,
  { config, parameters }: Model,
  { tokenizer, dtype = 'f32', rewardOffset }: { tokenizer: Tokenizer; dtype?: WeightDtype; rewardOffset?: number },
): Promise<void> {
  const { bosId, eosId, endIds, generationConfig } = tokenizer;
  const padId = config.head === 'score' ? paddingIdOf(tokenizer) : tokenizer.padId;
  await writeModelDirectory(directory, {
    config,
    read: tensorSource(config, parameters),
    dtype,
    tokenizer,
    bosId,
    eosIds: endIds,
    padId,
    rewardOffset,
    generationConfig: generationConfig && withEndToken(generationConfig, eosId),
  });
  if (config.head === 'score') await writePaddingToken(directory, tokenizer, paddingIdOf(tokenizer));
}
