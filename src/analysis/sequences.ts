import { resolve } from 'node:path';
import { parseJson } from '../config/json.ts';
import type { Sequence } from '../data/batch.ts';
import { checkContext } from '../data/context.ts';
import type { Log } from '../data/dataset.ts';
import { checkTokenIds, encodeText } from '../data/encode.ts';
import { type Problem, RequestError } from '../errors.ts';
import { heldOutRows } from '../evaluation/tasks.ts';
import { readTextFile } from '../files.ts';
import type { ModelConfig } from '../model/config.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';

type Limits = Pick<ModelConfig, 'vocabSize' | 'maxLength'>;

export interface WindowOptions {
  /** Share of the text that is its held-out part; 0 = all of it is read. */
  holdOut: number;
  /** Tokens predicted in a window; if left out 256, or the model's context where that is shorter. */
  window?: number | undefined;
  /** Most windows, from the beginning. */
  windows: number;
  baseDirectory: string;
  /** Is told how the text was read. */
  log: Log;
}

/**
 * Windows of a text as in pre-training: documents one after the other, each of which is a sequence of its own.
 * @throws RequestError where nothing is predicted, or a window is longer than the model's context
 */
export async function sequencesOfText(
  source: string,
  tokenizer: Tokenizer,
  { vocabSize, maxLength }: Limits,
  { window = Math.min(256, maxLength), windows, ...options }: WindowOptions,
): Promise<Sequence[]> {
  checkTokenIds([], tokenizer, vocabSize);
  if (window > maxLength) {
    const message = `${window} tokens, but the model's context is ${maxLength}`;
    throw new RequestError({ where: 'window', message, hint: `set \`window\` to ${maxLength} at most` });
  }
  const rows = await heldOutRows(source, 'text', { ...options, rows: Number.POSITIVE_INFINITY });
  const sequences = encodeText(rows, tokenizer, { length: window }).slice(0, windows).flat();
  if (sequences.length > 0) return sequences;
  throw new RequestError({ where: source, message: 'there is nothing to predict: no text has two tokens' });
}

/** Bytes of a file of token ids, at most. */
const idsLimit = 2 ** 28;

/**
 * Rows of token ids out of a JSON file, each a sequence of its own that is read as it stands.
 * @throws RequestError where the file is of another form, or a model cannot read its rows
 */
export async function sequencesOfIds(
  file: string,
  { vocabSize, maxLength }: Limits,
  baseDirectory: string,
): Promise<Sequence[]> {
  const text = await readTextFile(resolve(baseDirectory, file), { name: file, limit: idsLimit });
  if (text === undefined) throw new RequestError({ where: file, message: 'there is no such file' });
  const rows = parseRows(text, file);
  const problems = rows.flatMap((row, i) => rowProblem(row, vocabSize, `${file}, row ${i + 1}`) ?? []);
  if (problems.length > 0) throw new RequestError(problems);
  const sequences = (rows as number[][]).map((ids) => ({
    tokens: Int32Array.from(ids),
    trained: new Uint8Array(ids.length).fill(1, 1),
  }));
  // The last id of a row is predicted and does not enter the model.
  const lengths = sequences.map(({ tokens }) => tokens.length - 1);
  checkContext(lengths, maxLength, { where: file, hint: `give rows of at most ${maxLength + 1} ids` });
  return sequences;
}

function parseRows(text: string, file: string): unknown[] {
  const hint = 'write a list of rows of token ids, such as [[5, 17, 3], [8, 2]]';
  let rows: unknown;
  try {
    rows = parseJson(text);
  } catch (error) {
    throw new RequestError({ where: file, message: `is not usable JSON: ${(error as Error).message}`, hint });
  }
  if (Array.isArray(rows) && rows.length > 0) return rows;
  const found = Array.isArray(rows) ? 'an empty list' : 'no list';
  throw new RequestError({ where: file, message: `holds ${found}`, hint });
}

function rowProblem(row: unknown, vocabSize: number, where: string): Problem | undefined {
  if (!Array.isArray(row) || row.length < 2) {
    return { where, message: 'a row is a list of at least two token ids, of which all but the first are predicted' };
  }
  const wrong: unknown = row.find((id) => !(Number.isInteger(id) && id >= 0 && id < vocabSize));
  if (wrong === undefined) return undefined;
  const message = `${JSON.stringify(wrong)} is no token id of the model, whose vocabulary is 0 to ${vocabSize - 1}`;
  return { where, message };
}
