/** The bytes of a record, and where it begins. */
export interface Piece {
  bytes: Buffer;
  /** 1-based line in the file. */
  line: number;
}

/** What is wrong with a file that ends within a record or continues after the last one. */
export interface SplitFault {
  line: number;
  message: string;
  hint?: string;
}

/** Limit on the size of a record in bytes: less than the maximum of a JavaScript string, far more than any real row. */
export const recordLimit = 64 * 2 ** 20;

const newline = 0x0a;
const quote = 0x22;
const backslash = 0x5c;
const comma = 0x2c;
const isSpace = (byte: number) => byte === 0x20 || byte === newline || byte === 0x0d || byte === 0x09;
const isOpening = (byte: number) => byte === 0x5b || byte === 0x7b;
const isClosing = (byte: number) => byte === 0x5d || byte === 0x7d;

const tooLong = (line: number): SplitFault => ({
  line,
  message: `a row of more than ${recordLimit / 2 ** 20} MiB begins here`,
  hint: 'one row is one line of .jsonl, or one element of a JSON list',
});

/** Yields the lines that are not blank. Only `\n` ends a line, not U+2028 and others inside a JSON string. */
export async function* linesOf(chunks: AsyncIterable<Buffer>): AsyncGenerator<Piece, SplitFault | undefined> {
  let parts: Buffer[] = [];
  let size = 0;
  let line = 1;
  const take = (end: Buffer): Piece => {
    const bytes = parts.length === 0 ? end : Buffer.concat([...parts, end]);
    [parts, size] = [[], 0];
    return { bytes, line: line++ };
  };
  for await (const chunk of chunks) {
    let start = 0;
    for (let end = chunk.indexOf(newline); end >= 0; end = chunk.indexOf(newline, start)) {
      const piece = take(chunk.subarray(start, end));
      if (!piece.bytes.every(isSpace)) yield piece;
      start = end + 1;
    }
    parts.push(chunk.subarray(start));
    size += chunk.length - start;
    if (size > recordLimit) return tooLong(line);
  }
  const last = take(Buffer.alloc(0));
  if (!last.bytes.every(isSpace)) yield last;
  return undefined;
}

/**
 * Yields the elements of a JSON list. They are separated by brackets and commas alone, so that each can be parsed, and
 * fail, by itself.
 */
export async function* elementsOf(chunks: AsyncIterable<Buffer>): AsyncGenerator<Piece, SplitFault | undefined> {
  let parts: Buffer[] = [];
  let size = 0;
  let line = 1;
  let started: number | undefined;
  let elements = 0;
  let [depth, inString, escaped, closed] = [0, false, false, false];
  for await (const chunk of chunks) {
    let start = 0;
    for (let i = 0; i < chunk.length; i++) {
      const byte = chunk[i]!;
      if (byte === newline) line++;
      if (closed) {
        if (isSpace(byte)) continue;
        const hint = 'a .json file is one list; a file with one list or object per line must be named .jsonl';
        return { line, message: 'there is more after the end of the JSON list', hint };
      }
      if (depth > 0 && started === undefined && !isSpace(byte)) started = line;
      if (inString) {
        if (escaped) escaped = false;
        else if (byte === backslash) escaped = true;
        else if (byte === quote) inString = false;
        continue;
      }
      if (byte === quote) inString = true;
      else if (isOpening(byte)) {
        if (++depth === 1) start = i + 1;
      } else if (isClosing(byte)) closed = --depth === 0;
      if (!closed && !(byte === comma && depth === 1)) continue;
      const bytes = Buffer.concat([...parts, chunk.subarray(start, i)]);
      // Only in `[]` may there be nothing between the brackets. Any other empty element is not JSON, and parsing it
      // fails.
      if (!bytes.every(isSpace) || !closed || elements > 0) yield { bytes, line: started ?? line };
      elements++;
      [parts, size, started, start] = [[], 0, undefined, i + 1];
    }
    if (closed) continue;
    parts.push(chunk.subarray(start));
    size += chunk.length - start;
    if (size > recordLimit) return tooLong(started ?? line);
  }
  if (closed) return undefined;
  const from = started ?? line;
  const message = `the JSON list is not closed: what starts in line ${from} has no end`;
  return { line: from, message, hint: 'the file may be cut off, or a `"`, `}` or `]` is missing' };
}

/** What can be said about a JSON text without parsing it. */
export interface Structure {
  /** Deepest nesting of lists and objects. */
  depth: number;
  /** Number of keys in all objects. */
  keys: number;
  /** Whether there is an escape for a surrogate, paired or not. */
  surrogates: boolean;
  /** Number of lists and objects that are not closed. */
  open: number;
}

export function structureOf(json: Uint8Array): Structure {
  const found: Structure = { depth: 0, keys: 0, surrogates: false, open: 0 };
  for (let i = 0; i < json.length; i++) {
    const byte = json[i]!;
    if (byte === quote) {
      for (i++; i < json.length && json[i] !== quote; i++) {
        if (json[i] !== backslash) continue;
        i++;
        const isUnicode = json[i] === 0x75 && (json[i + 1]! | 0x20) === 0x64;
        if (isUnicode && json[i + 2] !== undefined && json[i + 2]! > 0x37) found.surrogates = true;
      }
    } else if (byte === 0x3a) found.keys++;
    else if (isOpening(byte)) found.depth = Math.max(found.depth, ++found.open);
    else if (isClosing(byte)) found.open--;
  }
  return found;
}
