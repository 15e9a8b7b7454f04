import { existsSync, readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { basename, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { suggestion } from '../config/suggest.ts';
import { RequestError } from '../errors.ts';

const recipeDirectory = fileURLToPath(new URL('../../pipelines/', import.meta.url));

/** Text of a pipeline: a file, or one of the recipes that come with mixtune by its name. */
export async function readPipelineText(nameOrFile: string): Promise<{ text: string; file: string }> {
  const shipped = resolve(recipeDirectory, `${basename(nameOrFile, '.yaml')}.yaml`);
  const isName = /^[\w-]+$/.test(nameOrFile);
  const path = isName && existsSync(shipped) ? shipped : resolve(nameOrFile);
  try {
    return { text: await readFile(path, 'utf8'), file: isName ? `pipelines/${basename(path)}` : nameOrFile };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const message = code === 'ENOENT' ? 'there is no such pipeline' : `cannot be read (${code})`;
    throw new RequestError({ where: nameOrFile, message, hint: suggestion(nameOrFile, recipeNames()) });
  }
}

/** Names of the shipped recipes. */
export function recipeNames(): string[] {
  const files = existsSync(recipeDirectory) ? readdirSync(recipeDirectory) : [];
  return files.filter((file) => file.endsWith('.yaml')).map((file) => basename(file, '.yaml'));
}
