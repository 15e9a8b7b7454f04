import { readdir, stat } from 'node:fs/promises';
import { extname, join, resolve } from 'node:path';
import { closest, suggestion } from '../config/suggest.ts';
import { RequestError } from '../errors.ts';
import { type Descriptor, descriptorNames, loadDescriptor } from './descriptor.ts';
import { type TownKind, townKinds } from './town/town.ts';

/** Where rows come from, once a name is resolved. */
export type Source = { kind: 'town'; name: TownKind } | FileSource;

export interface FileSource {
  kind: 'files';
  /** Files to read in this order. */
  files: readonly string[];
  /** Files of the rows held out; where absent, they are cut from the end of `files`. */
  testFiles?: readonly string[];
  /** Format by name and column by column of that format, where a descriptor says so. */
  format?: string;
  columns?: Readonly<Record<string, string>>;
  holdOut?: number;
}

const textFiles = ['.txt', '.md'];
const recordFiles = ['.jsonl', '.ndjson', '.json'];

/** True where a file is one document, false where it is a list of records. */
export function isTextFile(file: string): boolean {
  return textFiles.includes(extname(file).toLowerCase());
}

/** Finds out what a name means: `town/KIND`, a file or folder that exists, or a descriptor. */
export async function resolveSource(source: string, baseDirectory: string): Promise<Source> {
  if (source.startsWith('town/')) return { kind: 'town', name: townKind(source) };
  const path = resolve(baseDirectory, source);
  if (await exists(path)) return { kind: 'files', files: await filesAt(path, source) };
  const descriptor = await loadDescriptor(source, baseDirectory);
  if (descriptor) return describedSource(descriptor, source, baseDirectory);
  throw await unknownSource(source, baseDirectory);
}

function townKind(source: string): TownKind {
  const kind = townKinds.find((name) => `town/${name}` === source);
  if (kind) return kind;
  const names = townKinds.map((name) => `town/${name}`);
  throw new RequestError({
    where: source,
    message: 'there is no such built-in dataset',
    hint: suggestion(source, names),
  });
}

async function describedSource(descriptor: Descriptor, name: string, baseDirectory: string): Promise<FileSource> {
  const { path, train, test, format, columns, holdOut } = descriptor;
  const files = (place: string) => describedFiles(place, `datasets/${name}.yaml`, baseDirectory);
  return {
    kind: 'files',
    files: await files((path ?? train) as string),
    ...(test === undefined ? {} : { testFiles: await files(test) }),
    ...(format === undefined ? {} : { format }),
    ...(columns === undefined ? {} : { columns }),
    ...(holdOut === undefined ? {} : { holdOut }),
  };
}

async function describedFiles(place: string, descriptor: string, baseDirectory: string): Promise<string[]> {
  const path = resolve(baseDirectory, place);
  if (await exists(path)) return filesAt(path, place);
  throw new RequestError(
    { where: place, message: 'there is no such file or folder', hint: `put the data at ${path}, or change the path` },
    descriptor,
  );
}

/** A file as it is; of a folder, the files with known extensions in name order. */
async function filesAt(path: string, name: string): Promise<string[]> {
  const known = [...textFiles, ...recordFiles];
  if ((await stat(path)).isDirectory()) {
    const names = (await readdir(path)).filter((file) => known.includes(extname(file).toLowerCase())).sort();
    if (names.length > 0) return names.map((file) => join(path, file));
    throw new RequestError({ where: name, message: `the folder holds no file that ends in ${known.join(', ')}` });
  }
  if (known.includes(extname(path).toLowerCase())) return [path];
  throw new RequestError({
    where: name,
    message: `a dataset file ends in ${known.join(', ')}`,
    hint: 'rename the file; plain text is .txt, one JSON object a line is .jsonl, a JSON list is .json',
  });
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

async function unknownSource(source: string, baseDirectory: string): Promise<RequestError> {
  const names = [...townKinds.map((kind) => `town/${kind}`), ...(await descriptorNames(baseDirectory))];
  const message = `neither a file nor a folder nor a dataset (${names.join(', ')})`;
  const meant = closest(source, names);
  const hint = `paths start from ${baseDirectory}${meant ? `; did you mean \`${meant}\`?` : ''}`;
  return new RequestError({ where: source, message, hint });
}
