import { isJsonObject } from '../checkpoint/strict-json.ts';
import { parseJson } from '../config/json.ts';
import type { Problem } from '../errors.ts';
import { readRegularFile } from '../files.ts';
import { shellPath } from './containers.ts';
import { detectFormat } from './formats/index.ts';
import { hasPublicShape } from './public-shapes.ts';
import { recordLimit, structureOf } from './record-splitting.ts';

type Found = Pick<Problem, 'message' | 'hint'> | undefined;
type JsonObject = Readonly<Record<string, unknown>>;

/** A problem if the first line of a file is not JSON because objects span several lines. */
export async function spreadObjectsProblem(file: string, firstLine: Buffer): Promise<Found> {
  if (structureOf(firstLine).open === 0) return undefined;
  const bytes = await readRegularFile(file, recordLimit).catch(() => undefined);
  const text = bytes?.toString('utf8').replace(/^\uFEFF/, '') ?? '';
  // If the second line begins a new object, the first line is simply broken.
  if (/^\s*\{.*\n\s*\{/.test(text)) return undefined;
  const value = parsed(text);
  const spread = {
    message: 'objects span several lines, but a row is one line',
    hint: `write each on one line, for instance with: jq -c . ${shellPath(file)} > ROWS.jsonl`,
  };
  if (value === undefined) return /\n\}\s*\{/.test(text) ? spread : undefined;
  return isJsonObject(value) ? (wholeObjectProblem(value, file) ?? spread) : undefined;
}

function parsed(text: string): unknown {
  try {
    return parseJson(text);
  } catch {
    return undefined;
  }
}

/** A problem if a file is a single object that contains all rows: in a list under some key, or as columns. */
export function wholeObjectProblem(object: JsonObject, file: string): Found {
  if (detectFormat(object) === undefined && !hasPublicShape(object)) {
    const lists = Object.keys(object).filter((key) => isRows(object[key]));
    if (lists.length > 0) return wrapped(object, lists, file);
    if (Array.isArray(object.columns) && Array.isArray(object.data))
      return inColumns(['columns', 'data'], 'split', file);
  }
  const lengths = new Set(Object.values(object).map(columnLength));
  const isTable = lengths.size === 1 && !lengths.has(undefined);
  return isTable ? inColumns(Object.keys(object), undefined, file) : undefined;
}

function wrapped(object: JsonObject, keys: readonly string[], file: string): Found {
  const [key] = keys as [string];
  const path = /^[A-Za-z_]\w*$/.test(key) ? `.${key}` : `.[${JSON.stringify(key)}]`;
  // The datasets server of the Hugging Face hub: {rows: [{row_idx, row}]}.
  const inside = (object[key] as JsonObject[]).every(({ row }) => isJsonObject(row)) ? '.row' : '';
  return {
    message: `is one object with its rows in ${names(keys)}, not a list of rows or one row per line`,
    hint: `extract them, for instance with: jq -c '${path}[]${inside}' ${shellPath(file)} > ROWS.jsonl`,
  };
}

function inColumns(keys: readonly string[], orient: 'split' | undefined, file: string): Found {
  const frame = orient ? `pandas.DataFrame(t['data'], columns=t['columns'])` : 'pandas.DataFrame(t)';
  const code = `import json, sys, pandas; t = json.load(open(sys.argv[1])); ${frame}.to_json(sys.argv[2], orient='records', lines=True, force_ascii=False)`;
  return {
    message: `is one object with a list for each column (${names(keys)}), but each row must be an object`,
    hint: `convert it: python3 -c "${code}" ${shellPath(file)} ROWS.jsonl`,
  };
}

function names(keys: readonly string[]): string {
  const shown = keys.slice(0, 6).map((key) => `\`${key}\``);
  return `${shown.join(', ')}${keys.length > shown.length ? ', …' : ''}`;
}

/** A list of objects. */
function isRows(value: unknown): boolean {
  return Array.isArray(value) && value.length > 0 && value.every(isJsonObject);
}

/** Number of rows of a column: a list of values, or pandas' `{"0": …, "1": …}`. Undefined if it is not a column. */
function columnLength(value: unknown): number | undefined {
  if (Array.isArray(value)) return isRows(value) ? undefined : value.length;
  if (!isJsonObject(value)) return undefined;
  const keys = Object.keys(value);
  return keys.length > 0 && keys.every((key, index) => key === String(index)) ? keys.length : undefined;
}
