import type { Batch, Sequence } from '../data/batch.ts';
import { notFinite } from '../errors.ts';
import { headOf, hiddenStates, type Model } from '../model/model.ts';
import { tokenLogProbs } from '../tensor/fused/token-log-probs.ts';
import { reshape, scatterAdd } from '../tensor/primitives.ts';
import { fromHost, scope } from '../tensor/scope.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { batchesOf } from './language-model.ts';

/** log p of each sequence of a batch, summed over its trained tokens, [sequences]. */
export function sequenceLogProbs(model: Model, batch: Batch): Tensor {
  const logProbs = tokenLogProbs(hiddenStates(model, batch), headOf(model), batch.targets);
  const sequences = batch.segments.length - 1;
  const owner = new Int32Array(batch.tokens.length);
  for (let s = 0; s < sequences; s++) owner.fill(s, batch.segments[s], batch.segments[s + 1]);
  const sums = scatterAdd(reshape(logProbs, [logProbs.size, 1]), fromHost(model.backend, owner), sequences);
  return reshape(sums, [sequences]);
}

/**
 * log p of each sequence, summed over its trained tokens, in nats, without gradients and with about `rowsAtOnce` tokens
 * per pass. Calls `progress` with the number of finished sequences after each pass.
 * @throws RunError if one is not finite
 */
export async function logLikelihoods(
  model: Model,
  sequences: readonly Sequence[],
  { rowsAtOnce = 4096, progress }: { rowsAtOnce?: number; progress?(done: number): void } = {},
): Promise<number[]> {
  const result: number[] = [];
  for (const batch of batchesOf(sequences, rowsAtOnce)) {
    const logProbs = scope(() => sequenceLogProbs(model, batch), { adopt: false });
    for (const logProb of await model.backend.read(logProbs)) {
      if (!Number.isFinite(logProb)) throw notFinite(`the log-probabilities of text ${result.length + 1} are`);
      result.push(logProb);
    }
    logProbs.release();
    progress?.(result.length);
  }
  return result;
}
