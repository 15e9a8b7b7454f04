import { expect, test } from 'vitest';
import { alignTokens, unknownSurface } from '../../src/tokenizer/alignment.ts';

/** The text that each token spans; numbers are single bytes, `?` is an unknown token. */
function spanned(text: string, surfaces: (string | number)[]): string[] {
  const bytes = surfaces.map((surface) => {
    if (surface === '?') return unknownSurface;
    return typeof surface === 'number' ? Uint8Array.of(surface) : new TextEncoder().encode(surface);
  });
  const offsets = alignTokens(text, bytes);
  return surfaces.map((_, i) => text.slice(offsets[2 * i], offsets[2 * i + 1]));
}

test.each([
  ['no tokens', '', [], []],
  ['the text as it is', 'one two', ['one', ' t', 'wo'], ['one', ' t', 'wo']],
  ['a space put in front', 'one two', [' ', 'one', ' two'], ['', 'one', ' two']],
  ['a space put in front of spaces', '  one', ['  ', ' one'], [' ', ' one']],
  ['a space put in behind a special token', '<s>one', ['<s>', ' one'], ['<s>', 'one']],
  ['spaces dropped', ' one   two ', ['one', 'two'], ['one', 'two']],
  ['many spaces dropped', `one${' '.repeat(300)}two`, ['one', 'two'], ['one', 'two']],
  ['case and accents dropped', 'Élan VITAL', ['el', 'an', 'vital'], ['Él', 'an', 'VITAL']],
  ['a mark joined to its letter', 'cafe\u0301s', ['caf', 'é', 's'], ['caf', 'e\u0301', 's']],
  ['one letter written as two', 'ﬁre', ['fi', 're'], ['ﬁ', 're']],
  ['bytes inside a character', 'a🙂b', ['a', 0xf0, 0x9f, 0x99, 0x82, 'b'], ['a', '🙂', '🙂', '🙂', '🙂', 'b']],
  ['bytes that are no character', 'a\ufffdb', ['a', 0xff, 'b'], ['a', '\ufffd', 'b']],
  ['an unknown word', 'see 東京 here', ['see', '?', 'here'], ['see', '東京 ', 'here']],
  ['an unknown word at the end', 'see 東京', ['see', '?'], ['see', '東京']],
])('%s', (_, text, surfaces, expected) => {
  expect(spanned(text, surfaces)).toEqual(expected);
});
