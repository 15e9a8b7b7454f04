import type { Sequence } from '../data/batch.ts';
import type { TextRow } from '../data/rows.ts';
import type { Model } from '../model/model.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import { meanLoss } from '../training/language-model.ts';

export interface Perplexity {
  /** Mean cross-entropy in nats a token. */
  loss: number;
  perplexity: number;
  /** Tokens predicted. */
  tokens: number;
}

/**
 * exp of the mean cross-entropy over windows that do not overlap: no special tokens are added, each window predicts all
 * but its first token, and the tail of a document that does not fill a window is left out. A document shorter than a
 * window is one window. The mean is over tokens.
 */
export async function perplexity(
  model: Model,
  tokenizer: Tokenizer,
  rows: readonly TextRow[],
  { window, windows = Number.POSITIVE_INFINITY }: { window: number; windows?: number },
): Promise<Perplexity> {
  const sequences = rows.flatMap(({ text }) => windowsOf(tokenizer.encode(text), window)).slice(0, windows);
  const { loss, tokens } = await meanLoss(model, sequences);
  return { loss, perplexity: Math.exp(loss), tokens };
}

function windowsOf(tokens: Int32Array, window: number): Sequence[] {
  if (tokens.length < 2) return [];
  if (tokens.length < window) return [wholeSequence(tokens)];
  const count = Math.floor(tokens.length / window);
  return Array.from({ length: count }, (_, i) => wholeSequence(tokens.subarray(i * window, (i + 1) * window)));
}

function wholeSequence(tokens: Int32Array): Sequence {
  return { tokens, trained: new Uint8Array(tokens.length).fill(1).fill(0, 0, 1) };
}
