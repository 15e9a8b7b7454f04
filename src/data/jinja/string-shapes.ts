import type { Budget } from './budget.ts';
import { TemplateFault, unsupported } from './fault.ts';
import { lengthOfText } from './values.ts';

/** The first character upper case, all others lower case. */
export function capitalized(text: string): string {
  const [first = ''] = text;
  return titleCase(first) + text.toLowerCase().slice(first.toLowerCase().length);
}

/** A letter as the first of a word. For a few, JavaScript knows no such form. */
function titleCase(letter: string): string {
  if (/[\u10d0-\u10ff]/.test(letter)) return letter;
  const upper = letter.toUpperCase();
  if (/[\u01c4-\u01cc\u01f1-\u01f3\u1f80-\u1fff]/.test(letter) || upper.length !== letter.length) {
    throw unsupported(`the title case of ${JSON.stringify(letter)}`);
  }
  return upper;
}

/** Python's str.title(): a letter after a letter is lower case, all others upper case. */
export function titled(text: string): string {
  if (text.includes('Σ')) throw unsupported('.title() of a sigma');
  let isInside = false;
  return Array.from(text, (character) => {
    const shaped = isInside ? character.toLowerCase() : titleCase(character);
    isInside = character.toLowerCase() !== character.toUpperCase();
    return shaped;
  }).join('');
}

/** Filled up to a width in characters; the text stands at the side that is named. */
export function padded(
  text: string,
  width: number,
  fill: string,
  side: 'left' | 'right' | 'center',
  budget: Budget,
): string {
  if (lengthOfText(fill) !== 1) throw new TemplateFault('what a text is filled up with has to be one character');
  const missing = Math.max(0, width - lengthOfText(text));
  budget.makeText(text.length + missing * fill.length);
  if (side === 'left') return text + fill.repeat(missing);
  if (side === 'right') return fill.repeat(missing) + text;
  const left = Math.floor(missing / 2) + (missing & width & 1);
  return fill.repeat(left) + text + fill.repeat(missing - left);
}
