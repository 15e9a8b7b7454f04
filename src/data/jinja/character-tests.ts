import { unsupported } from './fault.ts';
import type { Method } from './method.ts';
import { isSpace } from './space.ts';

/** Numbers other than decimal digits; no Unicode property in JavaScript says which of them Python includes. */
const otherNumbers = /[\p{No}\p{Nl}]/u;

const everyCharacter =
  (name: string, isPart: (character: string) => boolean): Method<string> =>
  (self) => {
    if (name !== 'isspace' && otherNumbers.test(self))
      throw unsupported(`.${name}() of other digits than decimal ones`);
    return self !== '' && Array.from(self).every(isPart);
  };

/** Whether there are cased letters and all of them have the wanted case. */
export function isCased(text: string, wanted: 'toUpperCase' | 'toLowerCase'): boolean {
  const cased = Array.from(text).filter((character) => character.toLowerCase() !== character.toUpperCase());
  return cased.length > 0 && cased.every((character) => character === character[wanted]());
}

/** Python's `str.is…()` methods. */
export const characterTests: readonly [string, Method<string>][] = [
  ['isspace', everyCharacter('isspace', isSpace)],
  ['isalpha', everyCharacter('isalpha', (character) => /\p{L}/u.test(character))],
  ['isalnum', everyCharacter('isalnum', (character) => /[\p{L}\p{Nd}]/u.test(character))],
  ['isdigit', everyCharacter('isdigit', (character) => /\p{Nd}/u.test(character))],
  ['isdecimal', everyCharacter('isdecimal', (character) => /\p{Nd}/u.test(character))],
  ['isascii', (self) => /^[\0-\x7f]*$/.test(self)],
  ['isupper', (self) => isCased(self, 'toUpperCase')],
  ['islower', (self) => isCased(self, 'toLowerCase')],
];
