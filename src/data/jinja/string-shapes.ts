import type { Budget } from './budget.ts';
import { TemplateFault, unsupported } from './fault.ts';
import { lengthOfText } from './values.ts';

/** Capitalises the first character and makes all others lower case. */
export function capitalized(text: string): string {
  const [first = ''] = text;
  return titleCase(first) + text.toLowerCase().slice(first.toLowerCase().length);
}

/** The title case of a letter; for a few letters JavaScript does not have it. */
function titleCase(letter: string): string {
  if (/[\u10d0-\u10ff]/.test(letter)) return letter;
  const upper = letter.toUpperCase();
  if (/[\u01c4-\u01cc\u01f1-\u01f3\u1f80-\u1fff]/.test(letter) || upper.length !== letter.length) {
    throw unsupported(`the title case of ${JSON.stringify(letter)}`);
  }
  return upper;
}

/** Python's `str.title()`: letters after a letter become lower case, all others title case. */
export function titled(text: string): string {
  if (text.includes('Σ')) throw unsupported('.title() of a sigma');
  let isInside = false;
  return Array.from(text, (character) => {
    const shaped = isInside ? character.toLowerCase() : titleCase(character);
    isInside = character.toLowerCase() !== character.toUpperCase();
    return shaped;
  }).join('');
}

/** Pads a text to a width in characters; `side` says where the text is placed. */
export function padded(
  text: string,
  width: number,
  fill: string,
  side: 'left' | 'right' | 'center',
  budget: Budget,
): string {
  if (lengthOfText(fill) !== 1) throw new TemplateFault('the fill of a padded text must be a single character');
  const missing = Math.max(0, width - lengthOfText(text));
  budget.makeText(text.length + missing * fill.length);
  if (side === 'left') return text + fill.repeat(missing);
  if (side === 'right') return fill.repeat(missing) + text;
  const left = Math.floor(missing / 2) + (missing & width & 1);
  return fill.repeat(left) + text + fill.repeat(missing - left);
}
