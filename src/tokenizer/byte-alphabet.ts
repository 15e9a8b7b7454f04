/** The printable character that stands for each byte in byte-level vocabularies (Radford et al. 2019, GPT-2). */
export const byteSymbols: readonly string[] = makeByteSymbols();

const symbolBytes = new Map(byteSymbols.map((symbol, byte) => [symbol, byte]));

/** Printable bytes stand for themselves; the others take the code points from 256 on, in their order. */
function makeByteSymbols(): string[] {
  const printable = (byte: number) =>
    (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || (byte >= 0xae && byte <= 0xff);
  let next = 256;
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(printable(byte) ? byte : next++));
}

/** The bytes as one character each. */
export function symbolsOf(bytes: Uint8Array): string {
  let symbols = '';
  for (const byte of bytes) symbols += byteSymbols[byte];
  return symbols;
}

/** The bytes that a vocabulary entry stands for; an entry with a foreign character stands for its own UTF-8 form. */
export function bytesOf(token: string): Uint8Array {
  const bytes = new Uint8Array(token.length);
  for (let i = 0; i < token.length; i++) {
    const byte = symbolBytes.get(token.charAt(i));
    if (byte === undefined) return new TextEncoder().encode(token);
    bytes[i] = byte;
  }
  return bytes;
}
