import { isUtf8 } from 'node:buffer';
import { basename } from 'node:path';
import { isJsonObject, parseStrictJson } from '../checkpoint/strict-json.ts';
import { parseJson } from '../config/json.ts';
import { type Problem, RequestError } from '../errors.ts';
import { openRegularFile } from '../files.ts';
import { notJsonProblem } from './containers.ts';
import { elementsOf, linesOf, type Piece, type SplitFault, structureOf } from './record-splitting.ts';
import { spreadObjectsProblem, wholeObjectProblem } from './whole-file.ts';

/** An element of a JSON list or a line of a JSONL file, before a format has interpreted it. */
export interface SourceRecord {
  value: Record<string, unknown>;
  file: string;
  /** 1-based number within the file. */
  row: number;
  /** 1-based line where the record begins. */
  line: number;
}

/** Limit on nested lists and objects; real data has a handful of levels. */
const deepest = 64;

/** Number of unreadable rows after which reading stops: the file does not consist of rows. */
const mostUnreadable = 1000;

const byteOrderMark = Buffer.from('\uFEFF');

/**
 * Yields the records of a `.json` or `.jsonl` file. Those that cannot be parsed are passed to `report` and skipped.
 * @throws RequestError if the file as a whole is of another kind
 */
export async function* readRecords(
  file: string,
  report: (problem: Problem) => void,
): AsyncGenerator<SourceRecord, void, undefined> {
  const { pieces, isList } = await openPieces(file);
  const where = basename(file);
  let first: SourceRecord | undefined;
  let unreadable = 0;
  try {
    for (let row = 1; unreadable < mostUnreadable; row++) {
      const next = await pieces.next();
      if (next.done) {
        if (next.value) report({ where, ...next.value });
        else if (row === 1) report({ where, message: 'the file is empty: it has no rows' });
        const only = !isList && row === 2 && first && wholeObjectProblem(first.value, file);
        if (only) throw new RequestError({ where, ...only });
        return;
      }
      const place = { file, row, line: next.value.line };
      try {
        const record = { value: parseRecord(next.value.bytes), ...place };
        first ??= record;
        yield record;
      } catch (error) {
        if (!(error instanceof UnreadableRow)) throw error;
        const spread = !isList && row === 1 && (await spreadObjectsProblem(file, next.value.bytes));
        if (spread) throw new RequestError({ where, ...spread });
        report(unreadableRow(next.value, place, error.message));
        unreadable++;
      }
    }
    report({ where, message: `${mostUnreadable} rows cannot be read: the rest of the file was not read` });
  } finally {
    await pieces.return(undefined);
  }
}

/** The first record of a file that can be parsed, if any. */
export async function firstRecord(file: string): Promise<SourceRecord | undefined> {
  for await (const record of readRecords(file, () => {})) return record;
  return undefined;
}

async function openPieces(
  file: string,
): Promise<{ pieces: AsyncGenerator<Piece, SplitFault | undefined>; isList: boolean }> {
  const handle = await openRegularFile(file, basename(file));
  if (!handle) throw new RequestError({ where: basename(file), message: 'the file no longer exists' });
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(4096), 0, 4096, 0);
  const head = buffer.subarray(0, bytesRead);
  const problem = notJsonProblem(head, file);
  if (problem) {
    await handle.close();
    throw new RequestError(problem);
  }
  const start = head.subarray(0, 3).equals(byteOrderMark) ? 3 : 0;
  const chunks = handle.createReadStream({ start }) as AsyncIterable<Buffer>;
  const isList = head.toString('utf8', start).trimStart().startsWith('[');
  return { pieces: isList ? elementsOf(chunks) : linesOf(chunks), isList };
}

/** The reason why a record cannot be read. */
class UnreadableRow extends Error {}

/** @throws UnreadableRow for anything but a JSON object, and for mistakes that `JSON.parse` would silently accept */
function parseRecord(bytes: Buffer): Record<string, unknown> {
  const { depth, keys, surrogates } = structureOf(bytes);
  if (depth > deepest) throw new UnreadableRow(`lists and objects are nested ${depth} deep; ${deepest} is the most`);
  if (!isUtf8(bytes)) throw new UnreadableRow('is not UTF-8 text');
  const text = bytes.toString('utf8');
  const value = parsed(text);
  if (surrogates || keys !== keysOf(value)) requireStrict(text);
  if (isJsonObject(value)) return value;
  throw new UnreadableRow(`${JSON.stringify(value).slice(0, 40)} is not an object`);
}

function parsed(text: string): unknown {
  try {
    return parseJson(text);
  } catch (error) {
    throw new UnreadableRow(`broken JSON: ${(error as SyntaxError).message}`);
  }
}

function requireStrict(text: string): void {
  try {
    parseStrictJson(text);
  } catch (error) {
    throw new UnreadableRow((error as SyntaxError).message);
  }
}

/** Number of keys in all objects of a value; less than in its text if a key appears twice. */
function keysOf(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  const children = Object.values(value);
  return children.reduce((total: number, child) => total + keysOf(child), Array.isArray(value) ? 0 : children.length);
}

function unreadableRow({ bytes, line }: Piece, { file, row }: Omit<SourceRecord, 'value'>, reason: string): Problem {
  const text = bytes.toString('utf8');
  const position = Number(/at position (\d+)/.exec(reason)?.[1] ?? 0);
  const hint = mistakes.find(({ text: inText, reason: inReason }) =>
    (inText ?? inReason!).test(inText ? text : reason),
  )?.hint;
  return {
    where: `${basename(file)}, row ${row}`,
    line: line + text.slice(0, position).split('\n').length - 1,
    message: reason,
    ...(hint === undefined ? {} : { hint }),
  };
}

/** Hints for common mistakes, recognised by the text of the row or by the parser's message. */
const mistakes: readonly { text?: RegExp; reason?: RegExp; hint: string }[] = [
  { text: /^\s*\{\s*'/, hint: "keys and texts in single quotes are Python's notation: write the rows with json.dumps" },
  { text: /[:,[]\s*(-?Infinity|NaN|None|True|False)\b/, hint: 'JSON has true, false and null, and no NaN or Infinity' },
  { text: /\}\r\{/, hint: "lines must end with '\\n', but here they end with '\\r': convert it with tr '\\r' '\\n'" },
  { text: /\}\s*\{/, hint: 'a line must have a single object: write one per line, for instance with jq -c .' },
  { text: /^\s*$/, hint: 'there is nothing between two commas of the list, or before its end' },
  { reason: /not UTF-8/, hint: 'convert the file, for instance with iconv -f WINDOWS-1252 -t UTF-8' },
  { reason: /control character/, hint: 'write control characters inside texts as escapes, such as \\n and \\t' },
  { reason: /Unterminated|end of JSON/, hint: 'a `"`, `}` or `]` is missing, or the file is cut off here' },
];
