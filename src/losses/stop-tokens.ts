/** Tokens of a response up to and with its first stop token; all of them where there is none. */
export function responseLength(tokens: ArrayLike<number>, stopIds: readonly number[]): number {
  for (let i = 0; i < tokens.length; i++) if (stopIds.includes(tokens[i]!)) return i + 1;
  return tokens.length;
}
