import type { Sequence } from '../data/batch.ts';
import type { Model } from '../model/model.ts';
import { scope } from '../tensor/scope.ts';
import { batchesOf } from '../training/language-model.ts';
import { sequenceLogProbs } from '../training/sequence-log-probs.ts';

/** Σ log p of the trained tokens of each sequence. */
export async function logLikelihoods(
  model: Model,
  sequences: readonly Sequence[],
  rowsAtOnce = 4096,
): Promise<number[]> {
  const result: number[] = [];
  for (const batch of batchesOf(sequences, rowsAtOnce)) {
    const logProbs = scope(() => sequenceLogProbs(model, batch), { adopt: false });
    result.push(...(await model.backend.read(logProbs)));
    logProbs.release();
  }
  return result;
}
