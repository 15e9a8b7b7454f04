/** U+FFFF, which is not a character: the text of an unknown token is not known. */
const unknownText = '\uffff';
export const unknownSurface: Uint8Array = new TextEncoder().encode(unknownText);

/** A character and its position in UTF-16 units. */
interface Character {
  text: string;
  start: number;
  end: number;
}

/** How many characters must match before the two texts count as aligned again. */
const agreement = 3;
/** How many characters, of both texts together, may be skipped before the rest is treated as one stretch. */
const longestSkip = 256;

/**
 * Finds the position of each token in a text from the bytes that the tokens represent (`surfaces`, in order). If their
 * concatenation is the text, the offsets are exact. If a normaliser changed the text, the two are compared character by
 * character: a space that was prepended has an empty span; letters that differ only in case, accents or compatibility
 * form match; marks that were composed with a letter belong to it, other dropped characters to no token; and a stretch
 * that cannot be matched (unknown tokens) is the span of every token in it. A token that begins or ends inside a
 * character spans the whole character.
 *
 * Returns [2 · surfaces.length], start and end in UTF-16 units.
 */
export function alignTokens(text: string, surfaces: readonly Uint8Array[]): Int32Array {
  const pieces = validPieces(surfaces);
  const written = charactersOf(decoder.decode(Buffer.concat(pieces)));
  const places = alignCharacters(written, charactersOf(text), text.length);
  const characterOfByte = written.flatMap(({ text }, index) => Array(Buffer.byteLength(text)).fill(index) as number[]);

  const offsets = new Int32Array(2 * pieces.length);
  let byte = 0;
  let reached = 0;
  pieces.forEach(({ length }, token) => {
    const first = places[characterOfByte[byte]!];
    const last = places[characterOfByte[byte + length - 1]!];
    const [start, end] = length > 0 && first && last ? [first.start, last.end] : [reached, reached];
    offsets.set([start, Math.max(start, end)], 2 * token);
    reached = Math.max(start, end);
    byte += length;
  });
  return offsets;
}

const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

/** The surfaces; if their concatenation is not UTF-8, each is made valid by itself. */
function validPieces(surfaces: readonly Uint8Array[]): readonly Uint8Array[] {
  const bytes = Buffer.concat(surfaces);
  const valid = Buffer.byteLength(decoder.decode(bytes)) === bytes.length;
  return valid ? surfaces : surfaces.map((surface) => Buffer.from(decoder.decode(surface)));
}

function charactersOf(text: string): Character[] {
  const characters: Character[] = [];
  let start = 0;
  for (const character of text) {
    const end = start + character.length;
    characters.push({ text: character, start, end });
    start = end;
  }
  return characters;
}

type Place = { start: number; end: number };

/** The position in the original of each character that the tokens represent. */
function alignCharacters(written: readonly Character[], original: readonly Character[], length: number): Place[] {
  const places: Place[] = [];
  const startOf = (at: number) => original[at]?.start ?? length;
  let from = 0;
  let at = 0;
  while (from < written.length || isMark(original[at])) {
    const added = addedSpaces(written, from, original, at);
    if (added > 0) {
      for (let i = 0; i < added; i++) places[from++] = { start: startOf(at), end: startOf(at) };
      continue;
    }
    if (same(written[from], original[at])) {
      const { start, end } = original[at++]!;
      places[from++] = { start, end };
      continue;
    }
    if (from > 0 && isMark(original[at])) {
      places[from - 1]!.end = original[at++]!.end;
      continue;
    }
    if (isSpace(original[at]) && !isSpace(written[from])) {
      at++;
      continue;
    }
    const [skipWritten, skipOriginal] = nextAgreement(written, from, original, at);
    const stretch = { start: startOf(at), end: startOf(at + skipOriginal) };
    for (let i = 0; i < skipWritten; i++) places[from + i] = { ...stretch };
    from += skipWritten;
    at += skipOriginal;
  }
  return places;
}

/**
 * At the first of a run of spaces: how many more there are than in the original. Added ones are taken to come first.
 */
function addedSpaces(written: readonly Character[], from: number, original: readonly Character[], at: number): number {
  const atFirst = isSpace(written[from]) && isSpace(original[at]) && !isSpace(written[from - 1]);
  return atFirst ? spacesFrom(written, from) - spacesFrom(original, at) : 0;
}

function spacesFrom(characters: readonly Character[], from: number): number {
  let end = from;
  while (isSpace(characters[end])) end++;
  return end - from;
}

/** The fewest characters to skip in both texts until they agree again, or all that are left if they never do. */
function nextAgreement(
  written: readonly Character[],
  from: number,
  original: readonly Character[],
  at: number,
): [skipWritten: number, skipOriginal: number] {
  const leftWritten = written.length - from;
  const leftOriginal = original.length - at;
  for (let skipped = 1; skipped <= Math.min(longestSkip, leftWritten + leftOriginal); skipped++) {
    for (let skip = Math.min(skipped, leftWritten); skip >= 0 && skipped - skip <= leftOriginal; skip--) {
      if (agree(written, from + skip, original, at + skipped - skip)) return [skip, skipped - skip];
    }
  }
  return [leftWritten, leftOriginal];
}

/** Whether the characters at the two positions match and, apart from spaces in one of the texts, those after them. */
function agree(written: readonly Character[], from: number, original: readonly Character[], at: number): boolean {
  let matched = 0;
  while (matched < agreement) {
    if (same(written[from], original[at])) {
      matched++;
      from++;
      at++;
    } else if (matched === 0) return false;
    else if (isSpace(original[at])) at++;
    else if (isSpace(written[from])) from++;
    else return written[from]?.text === unknownText || (from === written.length && at === original.length);
  }
  return true;
}

const isSpace = (character: Character | undefined): boolean => /^[\p{White_Space}▁]$/u.test(character?.text ?? '');
const isMark = (character: Character | undefined): boolean => /^\p{M}$/u.test(character?.text ?? '');

function same(a: Character | undefined, b: Character | undefined): boolean {
  return a !== undefined && b !== undefined && (a.text === b.text || fold(a.text) === fold(b.text));
}

/**
 * Removes case, accents and compatibility forms from a letter; a lone mark is kept. `▁` is a space, as in
 * SentencePiece.
 */
const fold = (character: string): string =>
  character.normalize('NFKD').replace(/\p{M}/gu, '').replace('▁', ' ').toLowerCase() || character;
