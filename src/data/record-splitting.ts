/** The bytes of one record, and where it starts. */
export interface Piece {
  bytes: Buffer;
  /** 1-based line in the file. */
  line: number;
}

/** How a file ended before its last record was whole, or went on after it. */
export interface SplitFault {
  line: number;
  message: string;
  hint?: string;
}

/** Bytes that a record may have: below what a JavaScript string can hold, and far above any row. */
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

/** Lines that are not blank. A line ends at `\n` alone: U+2028 and others inside a JSON string do not end it. */
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
 * The elements of a JSON list, each by its brackets and commas alone, so that each can be parsed, and fail, by itself.
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
        const hint = 'a .json file is one list; several lists or objects, one a line, are .jsonl';
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
      // Only `[]` has nothing between its brackets; an empty element anywhere else is no JSON, and fails where it is
      // parsed.
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

/** What of a JSON text can be known without parsing it. */
export interface Structure {
  /** Lists and objects inside each other, at most. */
  depth: number;
  /** Keys of all objects. */
  keys: number;
  /** True where an escape names half of a surrogate pair, with its other half or without. */
  surrogates: boolean;
  /** Lists and objects that are not closed. */
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
