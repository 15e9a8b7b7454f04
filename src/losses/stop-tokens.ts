/** Number of tokens of a response up to and including its first stop token, or of the whole response if it has none. */
export function responseLength(tokens: ArrayLike<number>, stopIds: readonly number[]): number {
  for (let i = 0; i < tokens.length; i++) if (stopIds.includes(tokens[i]!)) return i + 1;
  return tokens.length;
}
