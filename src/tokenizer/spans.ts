/** Start and end, in UTF-16 units, of the character that each byte of a text's UTF-8 form belongs to. */
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

/** Lone surrogates count as the replacement character that encoders write for them: three bytes. */
function utf8Length(codePoint: number): number {
  if (codePoint < 0x80) return 1;
  if (codePoint < 0x800) return 2;
  return codePoint < 0x10000 ? 3 : 4;
}
