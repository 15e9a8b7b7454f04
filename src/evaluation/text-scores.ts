import { type Sequence, trainedTokensOf } from '../data/batch.ts';
import { checkContext } from '../data/context.ts';
import { checkTokenIds } from '../data/encode.ts';
import type { Model } from '../model/model.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import { logLikelihoods } from '../training/sequence-log-probs.ts';

export interface TextScores {
  /** log p of the trained tokens of each sequence, in nats. */
  logProbs: number[];
  /** Trained tokens of each sequence. */
  tokens: number[];
}

/**
 * log p of the trained part of each sequence. Of a sequence the last token is only predicted, so one longer than the
 * model's context by that token is still read.
 * @throws RequestError where the model cannot read one
 */
export async function scoreTexts(
  model: Model,
  tokenizer: Tokenizer,
  sequences: readonly Sequence[],
  hint: string,
): Promise<TextScores> {
  checkTokenIds(sequences, tokenizer, model.config.vocabSize);
  const lengths = sequences.map(({ tokens }) => tokens.length - 1);
  checkContext(lengths, model.config.maxLength, { hint });
  return { logProbs: await logLikelihoods(model, sequences), tokens: sequences.map(trainedTokensOf) };
}
