import { readFile } from 'node:fs/promises';
import type { z } from 'zod';
import { parseJson } from '../config/json.ts';
import { RequestError } from '../errors.ts';

/** The text of a file, undefined if it does not exist. @throws RequestError if it cannot be read */
export function readIfThere(file: string): Promise<string | undefined> {
  return readFile(file, 'utf8').catch(({ code }: NodeJS.ErrnoException) => {
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw new RequestError({ where: file, message: `cannot be read (${code})` });
  });
}

/**
 * The content of a JSON file, undefined if it does not exist. `schemaOf` chooses the schema by the parsed value.
 * @throws RequestError if the file is not JSON or does not match the schema
 */
export async function readJsonFile<T>(
  file: string,
  schemaOf: (value: unknown) => z.ZodType<T>,
): Promise<T | undefined> {
  const text = await readIfThere(file);
  if (text === undefined) return undefined;
  let value: unknown;
  try {
    value = parseJson(text);
  } catch (error) {
    throw new RequestError({ message: `not valid JSON (${(error as Error).message})`, where: file });
  }
  const parsed = schemaOf(value).safeParse(value);
  if (parsed.success) return parsed.data;
  throw new RequestError(
    parsed.error.issues.map(({ path, message }) => ({ message, where: `${file}: ${path.join('.')}` })),
  );
}
