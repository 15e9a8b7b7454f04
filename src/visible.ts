/** Characters that a terminal interprets instead of displaying: control characters and those that change direction. */
const obeyed = /(?![\n\t])[\p{Cc}\p{Bidi_Control}\u2028\u2029]/gu;

/**
 * Writes characters that a terminal would interpret as escapes such as `\u001b`; line feeds and tabs stay. JSON keeps
 * its meaning.
 */
export function visible(text: string): string {
  return text.replace(obeyed, escaped);
}

/** Writes a text on one line: like `visible`, but a line feed becomes `\u000a`. */
export function visibleLine(text: string): string {
  return visible(text).replaceAll('\n', escaped);
}

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}
