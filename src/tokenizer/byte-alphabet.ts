/** The printable character for each byte in byte-level vocabularies (Radford et al. 2019, GPT-2). */
export const byteSymbols: readonly string[] = makeByteSymbols();

const symbolBytes = new Map(byteSymbols.map((symbol, byte) => [symbol, byte]));

/** Printable bytes map to themselves, the others in order to the code points from 256. */
function makeByteSymbols(): string[] {
  const printable = (byte: number) =>
    (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || (byte >= 0xae && byte <= 0xff);
  let next = 256;
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(printable(byte) ? byte : next++));
}

/** Maps each byte to its printable character. */
export function symbolsOf(bytes: Uint8Array): string {
  let symbols = '';
  for (const byte of bytes) symbols += byteSymbols[byte];
  return symbols;
}

/** The bytes that a vocabulary entry represents; its own UTF-8 form if it has characters outside of the alphabet. */
export function bytesOf(token: string): Uint8Array {
  const bytes = new Uint8Array(token.length);
  for (let i = 0; i < token.length; i++) {
    const byte = symbolBytes.get(token.charAt(i));
    if (byte === undefined) return new TextEncoder().encode(token);
    bytes[i] = byte;
  }
  return bytes;
}
