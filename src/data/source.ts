import { readlink, stat } from 'node:fs/promises';
import { extname, resolve } from 'node:path';
import { closest, suggestion } from '../config/suggest.ts';
import { RequestError } from '../errors.ts';
import { openRegularFile } from '../files.ts';
import { containerProblem } from './containers.ts';
import { type Descriptor, descriptorNames, loadDescriptor } from './descriptor.ts';
import { filesOfFolder, readExtensions } from './folder.ts';
import { type TownKind, townKinds } from './town/town.ts';

/** Where rows come from, after the name has been resolved. */
export type Source = { kind: 'town'; name: TownKind } | FileSource;

export interface FileSource {
  kind: 'files';
  /** Files to read, in this order. */
  files: readonly string[];
  /** Files with the rows held out; if absent, these are taken from the end of `files`. */
  testFiles?: readonly string[];
  /** Name of the format, if a descriptor specifies it. */
  format?: string;
  /** Column of the format → column of the file, if a descriptor maps them. */
  columns?: Readonly<Record<string, string>>;
  /** Keys that are ignored although they change the meaning of a row. */
  ignore?: readonly string[];
  /** Names of other files and folders in the same folder. */
  skipped: readonly string[];
  /** Path of the descriptor, if there is one. */
  descriptor?: string;
  holdOut?: number;
}

/** Resolves a name: `town/KIND`, an existing file or folder, or a descriptor. @throws RequestError if it is none */
export async function resolveSource(source: string, baseDirectory: string): Promise<Source> {
  if (source.startsWith('town/')) return { kind: 'town', name: townKind(source) };
  const path = resolve(baseDirectory, source);
  if (await exists(path)) return { kind: 'files', ...(await filesAt(path, source)) };
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
  const { path, train, test, format, columns, ignore, holdOut } = descriptor;
  const file = `datasets/${name}.yaml`;
  const whole = await describedFiles((path ?? train) as string, file, baseDirectory);
  const held = test === undefined ? undefined : await describedFiles(test, file, baseDirectory);
  return {
    kind: 'files',
    files: whole.files,
    skipped: [...new Set([...whole.skipped, ...(held?.skipped ?? [])])],
    descriptor: file,
    ...(held === undefined ? {} : { testFiles: held.files }),
    ...(format === undefined ? {} : { format }),
    ...(columns === undefined ? {} : { columns }),
    ...(ignore === undefined ? {} : { ignore }),
    ...(holdOut === undefined ? {} : { holdOut }),
  };
}

async function describedFiles(
  place: string,
  descriptor: string,
  baseDirectory: string,
): Promise<{ files: string[]; skipped: string[] }> {
  const path = resolve(baseDirectory, place);
  if (await exists(path)) return filesAt(path, place);
  throw new RequestError(
    { where: place, message: 'there is no such file or folder', hint: `put the data at ${path}, or change the path` },
    descriptor,
  );
}

/** A file itself, or the files of a folder that are read. */
async function filesAt(path: string, name: string): Promise<{ files: string[]; skipped: string[] }> {
  const stats = await stat(path);
  if (stats.isDirectory()) return filesOfFolder(path, name);
  const handle = await openRegularFile(path, name);
  if (!handle) throw new RequestError({ where: name, message: 'the file no longer exists' });
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(4096), 0, 4096, 0).finally(() => handle.close());
  if (readExtensions.includes(extname(path).toLowerCase())) return { files: [path], skipped: [] };
  const container = containerProblem(buffer.subarray(0, bytesRead), path);
  if (container) throw new RequestError({ ...container, where: name });
  const hint =
    'plain text is .txt, one JSON object per line is .jsonl, a JSON list is .json: rename the file accordingly';
  throw new RequestError({ where: name, message: `a dataset file must end in ${readExtensions.join(', ')}`, hint });
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (['ENOENT', 'ENOTDIR', 'ENAMETOOLONG', 'ERR_INVALID_ARG_VALUE'].includes(code ?? '')) return false;
    throw new RequestError({
      where: path,
      message: code === 'ELOOP' ? 'is a link that leads to itself' : `cannot be read (${code})`,
    });
  }
}

async function unknownSource(source: string, baseDirectory: string): Promise<RequestError> {
  const link = await readlink(resolve(baseDirectory, source)).catch(() => undefined);
  if (link !== undefined)
    return new RequestError({ where: source, message: `is a link to ${link}, which does not exist` });
  const names = [...townKinds.map((kind) => `town/${kind}`), ...(await descriptorNames(baseDirectory))];
  const message = `neither a file nor a folder nor a dataset (${names.join(', ')})`;
  const meant = closest(source, names);
  const hint = `paths start from ${baseDirectory}${meant ? `; did you mean \`${meant}\`?` : ''}`;
  return new RequestError({ where: source, message, hint });
}
