import { readlink, stat } from 'node:fs/promises';
import { extname, resolve } from 'node:path';
import { closest, suggestion } from '../config/suggest.ts';
import { RequestError } from '../errors.ts';
import { openRegularFile } from '../files.ts';
import { containerProblem } from './containers.ts';
import { type Descriptor, descriptorNames, loadDescriptor } from './descriptor.ts';
import { filesOfFolder, readExtensions } from './folder.ts';
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
  /** Keys that are passed over although they change what a row means. */
  ignore?: readonly string[];
  /** Files and folders beside those read, by name. */
  skipped: readonly string[];
  /** File that says all this, where one does. */
  descriptor?: string;
  holdOut?: number;
}

/** Finds out what a name means: `town/KIND`, a file or folder that exists, or a descriptor. */
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

/** A file as it is; of a folder, those that are read. */
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
    'plain text is .txt, one JSON object a line is .jsonl, a JSON list is .json: rename the file accordingly';
  throw new RequestError({ where: name, message: `a dataset file ends in ${readExtensions.join(', ')}`, hint });
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
    return new RequestError({ where: source, message: `is a link to ${link}, which is not there` });
  const names = [...townKinds.map((kind) => `town/${kind}`), ...(await descriptorNames(baseDirectory))];
  const message = `neither a file nor a folder nor a dataset (${names.join(', ')})`;
  const meant = closest(source, names);
  const hint = `paths start from ${baseDirectory}${meant ? `; did you mean \`${meant}\`?` : ''}`;
  return new RequestError({ where: source, message, hint });
}
