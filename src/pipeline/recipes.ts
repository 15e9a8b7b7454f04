import { existsSync, readdirSync } from 'node:fs';
import { basename, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { suggestion } from '../config/suggest.ts';
import { RequestError } from '../errors.ts';
import { readTextFile } from '../files.ts';

const recipeDirectory = fileURLToPath(new URL('../../pipelines/', import.meta.url));

/** Text of a pipeline: a file, or one of the recipes that come with mixtune by its name. */
export async function readPipelineText(nameOrFile: string): Promise<{ text: string; file: string }> {
  const shipped = resolve(recipeDirectory, `${basename(nameOrFile, '.yaml')}.yaml`);
  const isName = /^[\w-]+$/.test(nameOrFile);
  const path = isName && existsSync(shipped) ? shipped : resolve(nameOrFile);
  const text = await readTextFile(path, { name: nameOrFile });
  if (text !== undefined) return { text, file: isName ? `pipelines/${basename(path)}` : nameOrFile };
  const hint = suggestion(nameOrFile, recipeNames());
  throw new RequestError({ where: nameOrFile, message: 'there is no such pipeline', hint });
}

/** Names of the shipped recipes. */
export function recipeNames(): string[] {
  const files = existsSync(recipeDirectory) ? readdirSync(recipeDirectory) : [];
  return files.filter((file) => file.endsWith('.yaml')).map((file) => basename(file, '.yaml'));
}
