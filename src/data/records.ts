import { isUtf8 } from 'node:buffer';
import { basename } from 'node:path';
import { isJsonObject, parseStrictJson } from '../checkpoint/strict-json.ts';
import { type Problem, RequestError } from '../errors.ts';
import { openRegularFile } from '../files.ts';
import { notJsonProblem } from './containers.ts';
import { elementsOf, linesOf, type Piece, type SplitFault, structureOf } from './record-splitting.ts';
import { spreadObjectsProblem, wholeObjectProblem } from './whole-file.ts';

/** One value of a JSON list or one line of a JSONL file, before a format has looked at it. */
export interface SourceRecord {
  value: Record<string, unknown>;
  file: string;
  /** 1-based, within the file. */
  row: number;
  /** 1-based line where the record starts. */
  line: number;
}

/** Lists and objects inside each other that a record may have; data has a handful. */
const deepest = 64;

const byteOrderMark = Buffer.from('\uFEFF');

/**
 * The records of a `.json` or `.jsonl` file; what cannot be parsed goes to `report`, and reading goes on.
 * @throws RequestError where the file as a whole is no such file
 */
export async function* readRecords(
  file: string,
  report: (problem: Problem) => void,
): AsyncGenerator<SourceRecord, void, undefined> {
  const { pieces, isList } = await openPieces(file);
  let row = 0;
  let last: SourceRecord | undefined;
  for (;;) {
    const next = await pieces.next();
    if (next.done) {
      if (next.value) report({ where: basename(file), ...next.value });
      break;
    }
    const place = { file, row: ++row, line: next.value.line };
    try {
      last = { value: parseRecord(next.value.bytes), ...place };
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      const spread = !isList && row === 1 && (await spreadObjectsProblem(file, next.value.bytes));
      if (spread) throw new RequestError({ where: basename(file), ...spread });
      report(brokenRecord(next.value, place, error.message));
      continue;
    }
    yield last;
  }
  if (row === 0) report({ where: basename(file), message: 'the file is empty: no row in it' });
  const only = !isList && row === 1 && last ? wholeObjectProblem(last.value, file) : undefined;
  if (only) throw new RequestError({ where: basename(file), ...only });
}

/** The first record of a file, or nothing where it has none that can be parsed. */
export async function firstRecord(file: string): Promise<SourceRecord | undefined> {
  for await (const record of readRecords(file, () => {})) return record;
  return undefined;
}

async function openPieces(
  file: string,
): Promise<{ pieces: AsyncGenerator<Piece, SplitFault | undefined>; isList: boolean }> {
  const handle = await openRegularFile(file, basename(file));
  if (!handle) throw new RequestError({ where: basename(file), message: 'there is no such file any more' });
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

/** @throws SyntaxError for what is no JSON object, and for what `JSON.parse` would pass in silence */
function parseRecord(bytes: Buffer): Record<string, unknown> {
  const { depth, keys, surrogates } = structureOf(bytes);
  if (depth > deepest) throw new SyntaxError(`lists and objects are nested ${depth} deep; ${deepest} is the most`);
  if (!isUtf8(bytes)) throw new SyntaxError('not UTF-8 text');
  const text = bytes.toString('utf8');
  const value: unknown = JSON.parse(text);
  if (surrogates || keys !== keysOf(value)) parseStrictJson(text);
  if (isJsonObject(value)) return value;
  throw new SyntaxError(`${JSON.stringify(value).slice(0, 40)} is no object with keys`);
}

/** Keys in all objects of a value: fewer than in its text where one stands twice. */
function keysOf(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  const children = Object.values(value);
  return children.reduce((total: number, child) => total + keysOf(child), Array.isArray(value) ? 0 : children.length);
}

function brokenRecord({ bytes, line }: Piece, { file, row }: Omit<SourceRecord, 'value'>, reason: string): Problem {
  const text = bytes.toString('utf8');
  const position = Number(/at position (\d+)/.exec(reason)?.[1] ?? 0);
  const hint = mistakes.find(([pattern]) => pattern.test(text))?.[1];
  return {
    where: `${basename(file)}, row ${row}`,
    line: line + text.slice(0, position).split('\n').length - 1,
    message: `broken JSON: ${reason}`,
    ...(hint === undefined ? {} : { hint }),
  };
}

/** What other programs write for JSON. */
const mistakes: readonly (readonly [RegExp, string])[] = [
  [/^\s*\{\s*'/, "keys and texts in single quotes are Python's notation: write the rows with json.dumps"],
  [/[:,[]\s*(-?Infinity|NaN|None|True|False)\b/, 'JSON has true, false and null, and no NaN or Infinity'],
  [/\}\r\{/, "lines end at '\\n', and those of this file at '\\r' alone: convert it with tr '\\r' '\\n'"],
  [/^\s*$/, 'nothing stands between two commas of the list, or before its end'],
];
