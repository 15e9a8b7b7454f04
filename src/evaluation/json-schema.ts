import { createRequire } from 'node:module';
import { parseJson } from '../config/json.ts';
import { RequestError, RunError } from '../errors.ts';
import { readTextFile } from '../files.ts';
import { TimeLimitError, withinTime } from '../time-limit.ts';

/** Its hundred files are loaded where a schema is, not whenever a command starts. */
const require = createRequire(import.meta.url);
const ajv7 = () => (require('ajv') as typeof import('ajv')).Ajv;
const ajv2020 = () => (require('ajv/dist/2020.js') as typeof import('ajv/dist/2020.js')).Ajv2020;

/** Milliseconds for one text: a schema's patterns may backtrack without end. */
const timeLimit = 1000;

/** True where a text is JSON and satisfies the schema. @throws TimeLimitError */
export type SchemaCheck = (text: string) => boolean;

/**
 * Compiles a JSON Schema, draft 2020-12 or, where `$schema` says so, draft 7. Unknown keywords are errors, `format` is
 * a note that is not checked (as the draft has it).
 * @throws Error where the text is no JSON, no schema, or one that refers to itself without end
 */
export function schemaCheck(schemaText: string): SchemaCheck {
  const schema: unknown = parseJson(schemaText);
  if (typeof schema !== 'boolean' && (typeof schema !== 'object' || schema === null || Array.isArray(schema))) {
    throw new Error('a JSON schema is an object');
  }
  const isDraft7 = typeof schema === 'object' && /draft-0[67]\//.test(String(Object(schema).$schema));
  const options = { strictTypes: false, strictTuples: false, validateFormats: false, logger: false } as const;
  const Validator = isDraft7 ? ajv7() : ajv2020();
  let satisfies: (value: unknown) => boolean;
  try {
    satisfies = new Validator(options).compile(schema);
    for (const value of [null, 0, '', [], {}]) satisfies(value);
  } catch (error) {
    throw inWords(error);
  }
  return (text) => {
    let value: unknown;
    try {
      value = parseJson(text);
    } catch {
      return false;
    }
    try {
      return withinTime(timeLimit, () => satisfies(value));
    } catch (error) {
      throw error instanceof TimeLimitError ? error : new RunError(inWords(error).message, { cause: error });
    }
  };
}

/** An error of what was compiled of a schema; a pattern is compiled when it is used for the first time. */
function inWords(error: unknown): Error {
  if (error instanceof RangeError) return new Error('the schema refers to itself endlessly');
  const { message } = error as Error;
  return message.endsWith('too large') ? new Error('a pattern of the schema is too large') : (error as Error);
}

/** The check of a schema file. @throws RequestError */
export async function loadSchemaCheck(path: string): Promise<SchemaCheck> {
  const text = await readTextFile(path);
  if (text === undefined) throw new RequestError({ where: path, message: 'does not exist' });
  try {
    return schemaCheck(text);
  } catch (error) {
    throw new RequestError({
      where: path,
      message: (error as Error).message,
      hint: 'the file must hold a JSON schema',
    });
  }
}
