import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { parseJson } from '../config/json.ts';
import { validate } from '../config/validate.ts';
import { type Problem, RequestError } from '../errors.ts';

/** A number in a saved file; JSON has `null` instead of NaN. */
export const numberOrNaN = z
  .number()
  .nullable()
  .transform((value) => value ?? Number.NaN);

const hint = 'it was changed or damaged since a run wrote it; remove its folder to continue from an older state';

/**
 * Reads a JSON file that a run wrote for itself.
 * @throws RequestError that names the file and what is wrong with it
 */
export async function readSavedJson<T>(file: string, schema: z.ZodType<T>): Promise<T> {
  const refuse = (message: string) => new RequestError({ where: file, message, hint });
  const text = await readFile(file, 'utf8').catch((error: Error) => {
    throw refuse(`cannot be read: ${error.message}`);
  });
  let content: unknown;
  try {
    content = parseJson(text);
  } catch (error) {
    throw refuse(`is no JSON: ${(error as Error).message}`);
  }
  const { value, problems } = validate(schema, content, { where: (path) => path.join('.') });
  if (value === undefined) throw refuse(problems.map(inWords).join('; '));
  return value;
}

const inWords = ({ where, message }: Problem) => (where ? `\`${where}\`: ${message}` : message);
