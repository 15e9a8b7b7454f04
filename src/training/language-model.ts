import { type Batch, groupsOfTokens, packSequences, type Sequence, trainedTokensOf } from '../data/batch.ts';
import type { DataCursor } from '../data/cursor.ts';
import { notFinite } from '../errors.ts';
import { headOf, hiddenStates, type Model } from '../model/model.ts';
import { backwardFromCrossEntropy, crossEntropy } from '../tensor/fused/cross-entropy.ts';
import { scope } from '../tensor/scope.ts';
import type { Gradients } from './optimizer.ts';
import { gradientOf } from './window.ts';

/** The micro-batches of the next optimiser step; at the end of an epoch there may be fewer or shorter ones. */
export function nextMicroBatches<Row>(
  cursor: DataCursor,
  rows: readonly Row[],
  { batchSize, accumulate }: { batchSize: number; accumulate: number },
): Row[][] {
  const window = cursor.next(batchSize * accumulate).map((index) => rows[index]!);
  const batches: Row[][] = [];
  for (let i = 0; i < window.length; i += batchSize) batches.push(window.slice(i, i + batchSize));
  return batches;
}

/**
 * Mean cross-entropy per trained token of an accumulation window, in nats. The divisor is that of the whole window, so
 * that (batch 8 × 1) and (2 × 4) are the same step whatever the lengths of the rows. Adds the gradient, times `scale`,
 * to `gradients`.
 */
export async function languageModelLoss(
  gradients: Gradients,
  microBatches: readonly (readonly Sequence[])[],
  scale = 1,
): Promise<{ loss: number; trainedTokens: number; tokens: number }> {
  const { model } = gradients;
  const sequences = microBatches.flat();
  const trainedTokens = sequences.reduce((sum, sequence) => sum + trainedTokensOf(sequence), 0);
  const { loss } = await gradientOf(gradients, microBatches, (rows, tape) => {
    const batch = packSequences(rows);
    const weights = new Float32Array(batch.targets.length).fill(scale / trainedTokens);
    const hidden = tape.record(() => hiddenStates(model, batch));
    const loss = backwardFromCrossEntropy(tape, hidden, headOf(model), batch.targets, weights);
    hidden.release();
    return { loss };
  });
  const tokens = sequences.reduce((sum, { tokens }) => sum + tokens.length - 1, 0);
  return { loss: loss / scale, trainedTokens, tokens };
}

/**
 * Mean cross-entropy over all trained tokens of the sequences, in nats, with about `rowsAtOnce` tokens per pass.
 * @throws RunError if it is not finite
 */
export async function meanLoss(
  model: Model,
  sequences: readonly Sequence[],
  rowsAtOnce = 4096,
): Promise<{ loss: number; tokens: number }> {
  let [total, tokens, texts] = [0, 0, 0];
  for (const batch of batchesOf(sequences, rowsAtOnce)) {
    const weights = new Float32Array(batch.targets.length).fill(1);
    const loss = scope(() => crossEntropy(hiddenStates(model, batch), headOf(model), batch.targets, weights), {
      adopt: false,
    });
    total += (await model.backend.read(loss))[0]!;
    const first = texts + 1;
    texts += batch.segments.length - 1;
    if (!Number.isFinite(total)) throw notFinite(`the log-probabilities of texts ${first} to ${texts} are`);
    tokens += batch.trainedTokens;
    loss.release();
  }
  return { loss: total / tokens, tokens };
}

/** Packs consecutive sequences into batches of at most `rowsAtOnce` tokens, unless a single sequence is longer. */
export function* batchesOf(sequences: readonly Sequence[], rowsAtOnce: number): Generator<Batch> {
  for (const group of groupsOfTokens(sequences, rowsAtOnce, ({ tokens }) => tokens.length)) yield packSequences(group);
}
