/** For a character class: white space as Python defines it. JavaScript's \s lacks some of it and includes U+FEFF. */
export const space = '\\t-\\r\\x1c- \\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000';

/** For a character class: line ends as defined by Python's `splitlines()`. */
export const lineEnd = '\\n-\\r\\x1c-\\x1e\\x85\\u2028\\u2029';

/** For a character class: ASCII control characters except DEL. */
export const control = '\\0-\\x1f';

const isSpaceCode = new RegExp(`[${space}]`);
export const isSpace = (character: string): boolean => isSpaceCode.test(character);

/** Where a text ends without trailing characters for which `isPart` holds. */
export function trimmedEnd(text: string, isPart: (character: string) => boolean = isSpace): number {
  let end = text.length;
  while (end > 0 && isPart(text[end - 1]!)) end--;
  return end;
}

/** Where a text begins without leading characters for which `isPart` holds. */
export function trimmedStart(text: string, isPart: (character: string) => boolean = isSpace): number {
  let start = 0;
  while (start < text.length && isPart(text[start]!)) start++;
  return start;
}
