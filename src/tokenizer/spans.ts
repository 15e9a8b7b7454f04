/** For each byte of a text in UTF-8, the start and end of its character in UTF-16 units. */
export interface ByteSpans {
  starts: Int32Array;
  ends: Int32Array;
}

export function byteSpans(text: string): ByteSpans {
  const starts: number[] = [];
  const ends: number[] = [];
  let at = 0;
  for (const character of text) {
    const end = at + character.length;
    for (let byte = utf8Length(character.codePointAt(0)!); byte > 0; byte--) {
      starts.push(at);
      ends.push(end);
    }
    at = end;
  }
  return { starts: Int32Array.from(starts), ends: Int32Array.from(ends) };
}

/** A lone surrogate counts as three bytes, because encoders replace it with U+FFFD. */
function utf8Length(codePoint: number): number {
  if (codePoint < 0x80) return 1;
  if (codePoint < 0x800) return 2;
  return codePoint < 0x10000 ? 3 : 4;
}
