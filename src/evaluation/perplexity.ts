import { type Sequence, trainedTokensOf } from '../data/batch.ts';
import { checkContext } from '../data/context.ts';
import { withPrefix } from '../data/encode.ts';
import type { TextRow } from '../data/rows.ts';
import { RequestError } from '../errors.ts';
import type { Model } from '../model/model.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import { logLikelihoods } from '../training/sequence-log-probs.ts';
import { type TaskResult, textItems } from './task-result.ts';

/**
 * The mean cross-entropy in nats a token (`loss`), and exp of it, over windows that do not overlap: a document begins
 * with the tokenizer's prefix, each window predicts all but its first token, and the tail of a document that does not
 * fill a window is left out. A document shorter than a window is one window. The mean is over tokens. The first token
 * of a document is not counted after a prefix either: so tokenizers with and without one are measured on the same
 * tokens. An item is a window.
 * @throws RequestError where nothing is predicted, or a window is longer than the model's context
 */
export async function perplexity(
  model: Model,
  tokenizer: Tokenizer,
  rows: readonly TextRow[],
  { window, windows = Number.POSITIVE_INFINITY }: { window: number; windows?: number },
): Promise<TaskResult> {
  const sequences = rows.flatMap(({ text }) => windowsOf(text, tokenizer, window)).slice(0, windows);
  if (sequences.length === 0) {
    const message = `there is nothing to predict: none of ${rows.length} texts has two tokens`;
    throw new RequestError({ message, hint: 'give longer texts' });
  }
  const { maxLength } = model.config;
  const lengths = sequences.map(({ tokens }) => tokens.length);
  checkContext(lengths, maxLength, { hint: `set window to ${maxLength} at most` });
  return scoredTexts(model, sequences);
}

/** The mean cross-entropy in nats a token (`loss`), and exp of it, over the trained tokens of all sequences. */
export async function scoredTexts(model: Model, sequences: readonly Sequence[]): Promise<TaskResult> {
  const logProbs = await logLikelihoods(model, sequences);
  const counts = sequences.map(trainedTokensOf);
  const tokens = sum(counts);
  const loss = -sum(logProbs) / tokens;
  return { metrics: { loss, perplexity: Math.exp(loss), tokens }, metric: 'loss', items: textItems(logProbs, counts) };
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

function windowsOf(text: string, tokenizer: Tokenizer, window: number): Sequence[] {
  const own = tokenizer.encode(text);
  const tokens = withPrefix(own, tokenizer);
  const count = Math.max(1, Math.floor(tokens.length / window));
  const windows = Array.from({ length: count }, (_, i) => tokens.subarray(i * window, (i + 1) * window));
  const given = (i: number): number => (i === 0 ? 1 + tokens.length - own.length : 1);
  return windows
    .map((tokens, i) => ({ tokens, trained: new Uint8Array(tokens.length).fill(1, given(i)) }))
    .filter(({ trained }) => trained.includes(1));
}
