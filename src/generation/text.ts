import { checkTokenIds, encodeFromStart, encodePrompt } from '../data/encode.ts';
import type { Message } from '../data/rows.ts';
import { RequestError } from '../errors.ts';
import type { Model } from '../model/model.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import { capacityFor, type GenerateOptions, generate } from './generate.ts';
import type { GeneratedToken, GenerationRequest } from './request.ts';
import { openSession } from './session.ts';

/** A text to continue, or a conversation to answer through the chat template. */
export type TextPrompt = string | readonly Message[];

export interface GeneratedText {
  text: string;
  tokens: number[];
  /** Whether the text ended by itself, rather than at maxNewTokens. */
  ended: boolean;
}

/**
 * Continues texts and answers conversations. Stops at the tokenizer's `endIds` unless `stopIds` are given.
 * @throws RequestError if a prompt is empty or too long, or has a token that the model does not have
 */
export async function generateText(
  model: Model,
  tokenizer: Tokenizer,
  prompts: readonly TextPrompt[],
  options: Omit<GenerateOptions, 'stopIds'> & { stopIds?: readonly number[] },
): Promise<GeneratedText[]> {
  const { stopIds = tokenizer.endIds } = options;
  const results = await generate(model, encoded(prompts, model, tokenizer), { ...options, stopIds });
  return results.map(({ tokens, endId }) => ({
    text: decoded(tokens, tokenizer),
    tokens: [...tokens],
    ended: endId !== undefined,
  }));
}

export type StreamOptions = Pick<GenerationRequest, 'maxNewTokens' | 'sampling' | 'seed'> & {
  stopIds?: readonly number[];
};

/**
 * Continues a text or answers a conversation. Yields the text in pieces, each as soon as its characters are complete,
 * and returns the result that `generateText` would give. Opens a session for the prompt and releases it.
 * @throws RequestError if the prompt is empty or too long, or has a token that the model does not have
 */
export async function* streamText(
  model: Model,
  tokenizer: Tokenizer,
  prompt: TextPrompt,
  { stopIds = tokenizer.endIds, ...options }: StreamOptions,
): AsyncGenerator<string, GeneratedText, undefined> {
  const prompts = encoded([prompt], model, tokenizer);
  const session = openSession(model, { sequences: 1, capacity: capacityFor(prompts, options, model) });
  try {
    return yield* textPieces(session.submit({ ...options, stopIds, prompt: prompts[0]! }), tokenizer);
  } finally {
    await session.release();
  }
}

/** Yields what each token adds to the text, each character once all its bytes are known, and returns the whole text. */
export async function* textPieces(
  stream: AsyncIterable<GeneratedToken>,
  tokenizer: Pick<Tokenizer, 'decode'>,
): AsyncGenerator<string, GeneratedText, undefined> {
  const tokens: number[] = [];
  let [text, shown, ended] = ['', '', false];
  for await (const { id, end } of stream) {
    ended = end === 'stop';
    if (!ended) tokens.push(id);
    text = decoded(tokens, tokenizer);
    // U+FFFD at the end may be a character whose last bytes are yet to come.
    const whole = end ? text : text.replace(/\ufffd+$/, '');
    if (whole === shown || !whole.startsWith(shown)) continue;
    yield whole.slice(shown.length);
    shown = whole;
  }
  return { text, tokens, ended };
}

function encoded(prompts: readonly TextPrompt[], model: Model, tokenizer: Tokenizer): Int32Array[] {
  const all = prompts.map((prompt) =>
    typeof prompt === 'string' ? encodeFromStart(prompt, tokenizer) : encodePrompt(prompt, tokenizer),
  );
  if (all.some(({ length }) => length === 0)) throw new RequestError('a prompt to continue must not be empty');
  const sequences = all.map((tokens) => ({ tokens, trained: new Uint8Array(tokens.length) }));
  checkTokenIds(sequences, tokenizer, model.config.vocabSize);
  return all;
}

const decoded = (tokens: ArrayLike<number>, tokenizer: Pick<Tokenizer, 'decode'>): string =>
  tokenizer.decode(tokens, { skipSpecialTokens: true });
