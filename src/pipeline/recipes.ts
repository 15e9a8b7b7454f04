import { existsSync, readdirSync } from 'node:fs';
import { resolve, sep } from 'node:path';
import { suggestion } from '../config/suggest.ts';
import { RequestError } from '../errors.ts';
import { packageFile, readTextFile } from '../files.ts';

const recipeDirectory = packageFile('pipelines');

/** The text of a pipeline: a file, or a recipe shipped with mixtune, given by its name. */
export async function readPipelineText(nameOrFile: string): Promise<{ text: string; file: string }> {
  const isName = recipeNames().includes(nameOrFile);
  const path = isName ? resolve(recipeDirectory, `${nameOrFile}.yaml`) : resolve(nameOrFile);
  const text = await readTextFile(path, { name: nameOrFile });
  if (text !== undefined) return { text, file: isName ? `pipelines/${nameOrFile}.yaml` : nameOrFile };
  const hint = suggestion(nameOrFile, recipeNames());
  throw new RequestError({ where: nameOrFile, message: 'there is no such pipeline', hint });
}

/** The names of the shipped recipes, including their folder, such as `paper/71m`. */
export function recipeNames(): string[] {
  const files = existsSync(recipeDirectory) ? readdirSync(recipeDirectory, { recursive: true, encoding: 'utf8' }) : [];
  const recipes = files.filter((file) => file.endsWith('.yaml'));
  return recipes.map((file) => file.slice(0, -'.yaml'.length).replaceAll(sep, '/')).sort();
}
