import { RequestError } from '../errors.ts';
import { type Model, scoreHeadOf } from '../model/model.ts';
import { freshScoreHead } from '../model/score-head.ts';
import { readModel } from '../model/weights.ts';
import type { Backend } from '../tensor/backends/backend.ts';
import type { Tensor } from '../tensor/tensor.ts';
import type { LoadedModel } from './load-model.ts';
import { requireMemory } from './memory.ts';
import { readModelDirectory } from './model-directory.ts';

/** A decoder with a linear head that turns the final hidden state of a text's last token into a score. */
export interface RewardModel {
  /** Its parameters include the head. */
  model: Model;
  /** The head, [1, hidden]. */
  score: Tensor;
  /** Added to a score to make it a reward, such that the rewards of preferred answers are 0 on average. */
  offset: number;
}

/**
 * Reads a reward model: `…ForSequenceClassification` with one label, its head in `score.weight`.
 * @throws RequestError if it is a language model or has no head
 */
export async function loadRewardModel(directory: string, backend: Backend): Promise<RewardModel & LoadedModel> {
  const { config, extra, read } = await readModelDirectory(directory);
  if (config.head !== 'score') {
    throw new RequestError(
      {
        message: `is a language model (${extra.architecture ?? extra.modelType}), which has no score head`,
        hint: 'train a reward model from it with `mixtune reward --from DIR --data PREFERENCES`',
      },
      directory,
    );
  }
  requireMemory(config, directory, backend.limits);
  const model = await readModel(config, backend, read);
  return { model, score: scoreHeadOf(model), offset: extra.rewardOffset ?? 0, extra };
}

/** The decoder of a language model with a new score head instead of the language head. */
export async function rewardModelFrom(directory: string, backend: Backend, seed: number): Promise<Model> {
  const { config, extra, read } = await readModelDirectory(directory);
  if (config.head === 'score') {
    throw new RequestError(
      {
        message: `is a reward model (${extra.architecture}) already`,
        hint: 'give the language model that it was trained from',
      },
      directory,
    );
  }
  requireMemory(config, directory, backend.limits);
  const scoring = { ...config, tieWordEmbeddings: false, head: 'score' as const };
  return readModel(scoring, backend, async (name, into, from) => {
    if (name === 'score.weight') into.set(freshScoreHead(config.hiddenSize, seed).subarray(from, from + into.length));
    else await read(name, into, from);
  });
}
