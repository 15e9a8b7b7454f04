import { basename } from 'node:path';
import { isJsonObject } from '../checkpoint/strict-json.ts';
import type { Problem } from '../errors.ts';
import { readRegularFile } from '../files.ts';
import { detectFormat } from './formats/index.ts';
import { recordLimit, structureOf } from './record-splitting.ts';

type Found = Pick<Problem, 'message' | 'hint'> | undefined;

/** A file whose first line is no JSON because its objects go on in the lines after it. */
export async function spreadObjectsProblem(file: string, firstLine: Buffer): Promise<Found> {
  if (structureOf(firstLine).open === 0) return undefined;
  const bytes = await readRegularFile(file, recordLimit).catch(() => undefined);
  const text = bytes?.toString('utf8') ?? '';
  // A line behind it that begins an object of its own says that this one is broken.
  if (/^\s*\{.*\n\s*\{/.test(text.replace(/^\uFEFF/, ''))) return undefined;
  const value = parsed(text);
  if (value === undefined) return /\n\}\s*\{/.test(text) ? spread : undefined;
  return isJsonObject(value) ? (wholeObjectProblem(value, file) ?? spread) : undefined;
}

const spread = {
  message: 'objects go on over several lines, but a row is one line',
  hint: 'write each on one line, for instance with: jq -c . FILE > ROWS.jsonl',
};

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** A file that is one object with all rows inside it, as a wrapper, as columns, or split into parts. */
export function wholeObjectProblem(object: Readonly<Record<string, unknown>>, file: string): Found {
  const entries = Object.entries(object);
  const parts = entries.filter(([, value]) => isRows(value));
  if (parts.length > 0 && !detectFormat(object))
    return wrapped(
      parts.map(([key]) => key),
      file,
    );
  const lengths = new Set(entries.map(([, value]) => columnLength(value)));
  if (entries.length === 0 || lengths.size > 1 || lengths.has(undefined)) return undefined;
  return {
    message: `is one object whose columns (${names(entries.map(([key]) => key))}) each hold all rows, and a row is an object`,
    hint: `convert it: python3 -c "import sys, pandas; pandas.DataFrame(__import__('json').load(open(sys.argv[1]))).to_json(sys.argv[2], orient='records', lines=True, force_ascii=False)" ${basename(file)} ROWS.jsonl`,
  };
}

function wrapped(keys: readonly string[], file: string): Found {
  const [key] = keys as [string];
  const path = /^[A-Za-z_]\w*$/.test(key) ? `.${key}` : `.[${JSON.stringify(key)}]`;
  return {
    message: `is one object that holds its rows in ${names(keys)}, not a list of rows or a row a line`,
    hint: `take them out, for instance with: jq -c '${path}[]' ${basename(file)} > ${key}.jsonl`,
  };
}

const names = (keys: readonly string[]) =>
  keys.length > 6
    ? `${keys
        .slice(0, 6)
        .map((key) => `\`${key}\``)
        .join(', ')}, …`
    : keys.map((key) => `\`${key}\``).join(', ');

/** A list of objects. */
function isRows(value: unknown): boolean {
  return Array.isArray(value) && value.length > 0 && value.every(isJsonObject);
}

/** Rows of a column that is a list of values, or of pandas' `{"0": …, "1": …}`; nothing where it is none. */
function columnLength(value: unknown): number | undefined {
  if (Array.isArray(value)) return value.every(isJsonObject) && value.length > 0 ? undefined : value.length;
  if (!isJsonObject(value)) return undefined;
  const keys = Object.keys(value);
  return keys.length > 0 && keys.every((key, index) => key === String(index)) ? keys.length : undefined;
}
