/** A character and its place in UTF-16 units. */
interface Character {
  text: string;
  start: number;
  end: number;
}

/** Characters that must agree before the two texts count as in step again. */
const agreement = 3;
/** Characters that are looked through, in both texts together, before the rest is taken as one stretch. */
const longestSkip = 256;

/**
 * The place of each token in a text, from the bytes that the tokens stand for (`surfaces`, in order). Where their
 * concatenation is the text, the offsets are exact. Where a normaliser changed the text, the two are walked through
 * side by side: a space that was put in front has an empty span, letters that differ in case, accent or compatibility
 * form match, dropped spaces belong to no token, and a stretch that cannot be matched (an unknown token) is the span of
 * all tokens in it. A token that begins or ends inside a character spans the whole character.
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

/** The surfaces, each made valid by itself where together they are not UTF-8. */
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

/** For each written character its place in the original. */
function alignCharacters(written: readonly Character[], original: readonly Character[], length: number): Place[] {
  const places: Place[] = [];
  const startOf = (at: number) => original[at]?.start ?? length;
  let from = 0;
  let at = 0;
  while (from < written.length) {
    if (at < original.length && sameLetter(written[from]!.text, original[at]!.text)) {
      const { start, end } = original[at++]!;
      places[from++] = { start, end };
      continue;
    }
    const [skipWritten, skipOriginal] = nextAgreement(written, from, original, at);
    if (skipWritten === 0) {
      attachDropped(places[from - 1], original.slice(at, at + skipOriginal));
    }
    const stretch = { start: startOf(at), end: startOf(at + skipOriginal) };
    for (let i = 0; i < skipWritten; i++) places[from + i] = { ...stretch };
    from += skipWritten;
    at += skipOriginal;
  }
  return places;
}

/** Dropped characters belong to the one before them, up to the first space. */
function attachDropped(before: Place | undefined, dropped: readonly Character[]): void {
  if (before === undefined) return;
  for (const { text, start, end } of dropped) {
    if (/\p{White_Space}/u.test(text) || before.end !== start) return;
    before.end = end;
  }
}

/** The fewest characters to skip in both texts until they agree; everything that is left where they never do. */
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

function agree(written: readonly Character[], from: number, original: readonly Character[], at: number): boolean {
  const compared = Math.min(agreement, written.length - from, original.length - at);
  if (compared === 0) return false;
  for (let i = 0; i < compared; i++) {
    if (!sameLetter(written[from + i]!.text, original[at + i]!.text)) return false;
  }
  return true;
}

const sameLetter = (a: string, b: string): boolean => a === b || fold(a) === fold(b);

/** A letter without case, accents and compatibility forms; a mark alone stays itself. */
const fold = (character: string): string =>
  character.normalize('NFKD').replace(/\p{M}/gu, '').toLowerCase() || character;
