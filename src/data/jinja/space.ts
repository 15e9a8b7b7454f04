/** Inside of a character class: what Python takes for white space. JavaScript's \s lacks some of it and has U+FEFF. */
export const space = '\\t-\\r\\x1c- \\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000';

/** Inside of a character class: what ends a line for Python's splitlines(). */
export const lineEnd = '\\n-\\r\\x1c-\\x1e\\x85\\u2028\\u2029';

/** Inside of a character class: ASCII's control characters but DEL. */
export const control = '\\0-\\x1f';

const isSpaceCode = new RegExp(`[${space}]`);
export const isSpace = (character: string): boolean => isSpaceCode.test(character);

/** Index after the last character that is not to go; `isPart` says what goes. */
export function trimmedEnd(text: string, isPart: (character: string) => boolean = isSpace): number {
  let end = text.length;
  while (end > 0 && isPart(text[end - 1]!)) end--;
  return end;
}

/** Index of the first character that stays. */
export function trimmedStart(text: string, isPart: (character: string) => boolean = isSpace): number {
  let start = 0;
  while (start < text.length && isPart(text[start]!)) start++;
  return start;
}
