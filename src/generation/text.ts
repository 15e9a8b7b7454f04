import { checkTokenIds, encodeFromStart, encodePrompt } from '../data/encode.ts';
import type { Message } from '../data/rows.ts';
import { RequestError } from '../errors.ts';
import type { Model } from '../model/model.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import { type GenerateOptions, generate } from './generate.ts';

/** A text to continue, or a conversation to answer through the chat template. */
export type TextPrompt = string | readonly Message[];

export interface GeneratedText {
  text: string;
  tokens: number[];
  /** False where maxNewTokens ended the text. */
  ended: boolean;
}

/**
 * Continues texts and answers conversations; stops at every id that ends a text unless told otherwise.
 * @throws RequestError where a prompt is empty, or has a token that the model does not have
 */
export async function generateText(
  model: Model,
  tokenizer: Tokenizer,
  prompts: readonly TextPrompt[],
  options: Omit<GenerateOptions, 'stopIds'> & { stopIds?: readonly number[] },
): Promise<GeneratedText[]> {
  const stopIds = options.stopIds ?? tokenizer.endIds;
  const encoded = prompts.map((prompt) =>
    typeof prompt === 'string' ? encodeFromStart(prompt, tokenizer) : encodePrompt(prompt, tokenizer),
  );
  if (encoded.some(({ length }) => length === 0)) throw new RequestError('a prompt to continue must not be empty');
  const sequences = encoded.map((tokens) => ({ tokens, trained: new Uint8Array(tokens.length) }));
  checkTokenIds(sequences, tokenizer, model.config.vocabSize);
  const results = await generate(model, encoded, { ...options, stopIds });
  return results.map(({ tokens, endId }) => ({
    text: tokenizer.decode(tokens, { skipSpecialTokens: true }),
    tokens: [...tokens],
    ended: endId !== undefined,
  }));
}
