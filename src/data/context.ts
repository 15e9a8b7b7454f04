import { RequestError } from '../errors.ts';

export interface ContextOptions {
  /** Number of tokens that are generated after each text. */
  newTokens?: number;
  /** Key, file or command that the texts come from, for messages. */
  where?: string;
  hint?: string;
}

/**
 * Checks that texts, given by their lengths in tokens, fit into a model's context of `maxLength` tokens; it was not
 * trained on positions beyond.
 * @throws RequestError
 */
export function checkContext(
  lengths: readonly number[],
  maxLength: number,
  { newTokens = 0, where, hint = 'shorten them, or use a model with a longer context' }: ContextOptions = {},
): void {
  const tooLong = [...lengths.keys()].filter((text) => lengths[text]! + newTokens > maxLength);
  if (tooLong.length === 0) return;
  const longest = tooLong.reduce((most, text) => Math.max(most, lengths[text]!), 0);
  const shown = tooLong.slice(0, 5).map((text) => text + 1);
  const numbers = `${shown.join(', ')}${shown.length < tooLong.length ? ', …' : ''}`;
  const counted = (texts: string): string =>
    lengths.length === 1
      ? `the ${texts} has ${longest} tokens`
      : `${tooLong.length} of ${lengths.length} ${texts}s (${numbers}) have up to ${longest} tokens`;
  const context = `the model's context is ${maxLength}`;
  const message =
    newTokens === 0
      ? `${counted('text')}, but ${context}`
      : `${counted('prompt')} and up to ${newTokens} more are generated, but ${context}`;
  throw new RequestError({ message, hint, ...(where === undefined ? {} : { where }) });
}
