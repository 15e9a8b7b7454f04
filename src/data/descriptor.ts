import { readdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { z } from 'zod';
import { suggestion } from '../config/suggest.ts';
import { validate } from '../config/validate.ts';
import { parseYamlFile } from '../config/yaml-file.ts';
import { type Problem, RequestError } from '../errors.ts';
import { packageFile, readTextFile } from '../files.ts';
import { formats } from './formats/index.ts';

const path = z.string().min(1);

const descriptorSchema = z.strictObject({
  description: z.string().optional().describe('what the data is and where it comes from'),
  path: path
    .optional()
    .describe('file or folder with the whole dataset, relative to the folder that mixtune is started in'),
  train: path.optional().describe('file or folder with the rows to train on, instead of `path`'),
  test: path.optional().describe('file or folder with the rows held out'),
  format: z
    .enum(formats.map(({ name }) => name))
    .optional()
    .describe('detected from the first row if left out'),
  columns: z.record(z.string(), z.string()).optional().describe('column of the format → column of the file'),
  ignore: z
    .array(z.string())
    .optional()
    .describe('columns and message keys to ignore although they would change the meaning of a row'),
  holdOut: z.number().gt(0).lt(1).optional().describe('fraction of the rows, from the end, that is held out'),
});

/** A dataset described in `datasets/NAME.yaml`. */
export type Descriptor = z.infer<typeof descriptorSchema>;

/** The user's own folder comes first, so that descriptors of the package can be replaced. */
function folders(baseDirectory: string): string[] {
  return [resolve(baseDirectory, 'datasets'), packageFile('datasets')];
}

/** Names of all descriptors that can be used from a base directory. */
export async function descriptorNames(baseDirectory: string): Promise<string[]> {
  const lists = await Promise.all(folders(baseDirectory).map((folder) => readdir(folder).catch(() => [])));
  const files = lists.flat().filter((name) => name.endsWith('.yaml'));
  return [...new Set(files.map((name) => name.slice(0, -'.yaml'.length)))].sort();
}

/** The descriptor with a name, undefined if there is none. @throws RequestError with lines if it is not valid */
export async function loadDescriptor(name: string, baseDirectory: string): Promise<Descriptor | undefined> {
  if (!/^[\w.-]+$/.test(name)) return undefined;
  for (const folder of folders(baseDirectory)) {
    const file = `datasets/${name}.yaml`;
    const text = await readTextFile(join(folder, `${name}.yaml`), { name: file });
    if (text !== undefined) return parseDescriptor(text, file);
  }
  return undefined;
}

function parseDescriptor(text: string, name: string): Descriptor {
  const file = parseYamlFile(text, name);
  const { value, problems } = validate(descriptorSchema, file.value, {
    where: (path) => path.join('.'),
    line: (path) => file.lineOf(path),
  });
  if (!value) throw new RequestError(problems, name);
  const contradictions = [...placeProblems(value), ...columnProblems(value, file.lineOf(['columns']))];
  if (contradictions.length > 0) throw new RequestError(contradictions, name);
  return value;
}

function placeProblems({ path, train, test, holdOut }: Descriptor): Problem[] {
  const problems: Problem[] = [];
  if ((path === undefined) === (train === undefined)) {
    problems.push({
      message: 'expected either `path` or `train`',
      hint: '`path` is the whole dataset, `train` a part of it',
    });
  }
  if (test !== undefined && holdOut !== undefined) {
    problems.push({ where: 'holdOut', message: '`test` already says what is held out' });
  }
  return problems;
}

function columnProblems({ format, columns }: Descriptor, line: number | undefined): Problem[] {
  if (!columns) return [];
  const place = { where: 'columns', ...(line === undefined ? {} : { line }) };
  if (!format) return [{ ...place, message: '`columns` needs `format`, which says what columns there are' }];
  const known = formats.find(({ name }) => name === format)?.columns ?? [];
  return Object.keys(columns)
    .filter((column) => !known.includes(column))
    .map((column) => ({
      ...place,
      message: `\`${column}\` is not a column of ${format}`,
      hint: suggestion(column, known),
    }));
}
