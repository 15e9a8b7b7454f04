import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { RequestError } from '../errors.ts';
import { withinTime } from '../time-limit.ts';

/** Its hundred files are loaded where a schema is, not whenever a command starts. */
const require = createRequire(import.meta.url);
const ajv7 = () => (require('ajv') as typeof import('ajv')).Ajv;
const ajv2020 = () => (require('ajv/dist/2020.js') as typeof import('ajv/dist/2020.js')).Ajv2020;

/** Milliseconds for one text: a schema's patterns may backtrack without end. */
const timeLimit = 1000;

/** True where a text is JSON and satisfies the schema. @throws TimeLimitError */
export type SchemaCheck = (text: string) => boolean;

/**
 * Compiles a JSON Schema, draft 2020-12 or, where `$schema` says so, draft 7. Unknown keywords are errors, `format` is a
 * note that is not checked (as the draft has it).
 * @throws Error where the text is no JSON, no schema, or one that refers to itself without end
 */
export function schemaCheck(schemaText: string): SchemaCheck {
  const schema: unknown = JSON.parse(schemaText);
  if (typeof schema !== 'boolean' && (typeof schema !== 'object' || schema === null || Array.isArray(schema))) {
    throw new Error('a JSON schema is an object');
  }
  const isDraft7 = typeof schema === 'object' && /draft-0[67]\//.test(String(Object(schema).$schema));
  const options = { strictTypes: false, strictTuples: false, validateFormats: false, logger: false } as const;
  const Validator = isDraft7 ? ajv7() : ajv2020();
  const satisfies = new Validator(options).compile(schema);
  assertEnds(satisfies);
  return (text) => {
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      return false;
    }
    return withinTime(timeLimit, () => satisfies(value));
  };
}

function assertEnds(satisfies: (value: unknown) => boolean): void {
  try {
    for (const value of [null, 0, '', [], {}]) satisfies(value);
  } catch (error) {
    throw error instanceof RangeError ? new Error('the schema refers to itself without end') : error;
  }
}

/** The check of a schema file. @throws RequestError */
export async function loadSchemaCheck(path: string): Promise<SchemaCheck> {
  try {
    return schemaCheck(await readFile(path, 'utf8'));
  } catch (error) {
    throw new RequestError({
      where: path,
      message: (error as Error).message,
      hint: 'the file must hold a JSON schema',
    });
  }
}
