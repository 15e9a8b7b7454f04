/** Characters that a terminal obeys instead of showing them: controls, and what turns the direction of writing. */
const obeyed = /(?![\n\t])[\p{Cc}\p{Bidi_Control}\u2028\u2029]/gu;

/**
 * The text with what a terminal would obey written as `\u001b`; line feeds and tabs stay. In JSON, it means the same.
 */
export function visible(text: string): string {
  return text.replace(obeyed, escaped);
}

/** The text as `visible` writes it, on one line: a line feed is written as `\u000a` too. */
export function visibleLine(text: string): string {
  return visible(text).replaceAll('\n', escaped);
}

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}
