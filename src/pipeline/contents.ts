import { createHash } from 'node:crypto';
import { open, readdir, readFile, stat } from 'node:fs/promises';
import { join, relative, resolve } from 'node:path';
import { datasetFingerprint, openDataset } from '../data/dataset.ts';
import type { Reading, Use } from '../data/rows.ts';
import { RequestError } from '../errors.ts';
import type { Machine } from '../runs/machine.ts';
import { formatVersion } from '../runs/node-file.ts';

const bytesAtOnce = 1 << 18;

/** Hashes and checks of files. Each file is read only once, however many nodes use it. */
export interface Contents {
  dataset(source: string, use: Use): Promise<string>;
  /** Reads the whole dataset and returns the number of its rows (including held-out ones), or what is wrong with it. */
  check(source: string, use: Use): Promise<{ rows: number; reading: Reading } | RequestError>;
  /** Whether a readable dataset holds out rows; `holdOut` is the share to use if the dataset itself sets none. */
  hasHeldOut(source: string, use: Use, holdOut: number): Promise<boolean>;
  directory(path: string): Promise<string>;
  /** @throws RequestError if the file cannot be read */
  file(path: string): Promise<string>;
}

/** Hashes depend only on the content of files, never on their names, times or locations. */
export function contentsBelow(baseDirectory: string): Contents {
  const known = new Map<string, Promise<unknown>>();
  const once = <T>(name: string, make: () => Promise<T>): Promise<T> => {
    const made = (known.get(name) as Promise<T> | undefined) ?? make();
    known.set(name, made);
    return made;
  };
  return {
    dataset: (source, use) => once(`${use} ${source}`, () => datasetHash(source, use, baseDirectory)),
    check: (source, use) => once(`check ${use} ${source}`, () => checkDataset(source, use, baseDirectory)),
    hasHeldOut: (source, use, holdOut) =>
      once(`held out ${holdOut} ${use} ${source}`, async () => {
        const options = { split: 'test', holdOut, baseDirectory, allowEmpty: true } as const;
        return (await openDataset(source, use, options)).rows.length > 0;
      }),
    directory: (path) => once(path, () => hashDirectory(path)),
    file: (path) => once(`file ${path}`, () => hashFile(resolve(baseDirectory, path))),
  };
}

/** Everything that a node's result depends on. Threads, jobs, logging and names are not included. */
export interface KeyParts {
  run: string;
  /** Left out if only the work matters, and not what computes it. */
  machine?: Machine;
  seed: number | undefined;
  /** The resolved keys that affect the result, without those that name inputs and datasets. */
  config: Readonly<Record<string, unknown>>;
  datasets: Readonly<Record<string, readonly string[]>>;
  inputs: Readonly<Record<string, readonly string[]>>;
  /** Hashes of the files that the config names, by key; left out if there are none. */
  files?: Readonly<Record<string, string>>;
}

/** Part of every content key; incremented whenever the same config leads to a different result than before. */
const resultVersion = 2;

/** SHA-256 of everything that a node's result depends on. */
export function contentKey(parts: KeyParts): string {
  const text = JSON.stringify(sorted({ format: formatVersion, results: resultVersion, ...parts }));
  return createHash('sha256').update(text).digest('hex');
}

/** `value` with the keys of every object in order, so that equal values have equal JSON. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, child]) => [key, sorted(child)]));
}

async function checkDataset(
  source: string,
  use: Use,
  baseDirectory: string,
): Promise<{ rows: number; reading: Reading } | RequestError> {
  const options = { baseDirectory, allowEmpty: true };
  try {
    const train = await openDataset(source, use, { ...options, split: 'train' });
    const test = await openDataset(source, use, { ...options, split: 'test' });
    const rows = train.rows.length + test.rows.length;
    return rows > 0
      ? { rows, reading: train.reading }
      : new RequestError({ message: `${source} holds no rows`, hint: `${use} rows are needed` });
  } catch (error) {
    if (error instanceof RequestError) return error;
    throw error;
  }
}

/** Held-out rows count as well: a stage evaluates on them, and may stop early or choose its best state by them. */
async function datasetHash(source: string, use: Use, baseDirectory: string): Promise<string> {
  const train = await datasetFingerprint(source, use, { baseDirectory, split: 'train' });
  return `${train} ${await datasetFingerprint(source, use, { baseDirectory, split: 'test' })}`;
}

async function hashFile(path: string): Promise<string> {
  const content = await readFile(path).catch((error: Error) => {
    throw new RequestError({ where: path, message: `cannot be read: ${error.message}` });
  });
  return createHash('sha256').update(content).digest('hex');
}

/**
 * The bytes of a file in chunks, each valid until the next one. The buffers are reused, because allocating new memory
 * would take as long as hashing.
 */
async function* bytesOf(path: string): AsyncGenerator<Uint8Array> {
  const file = await open(path);
  try {
    const buffers = [Buffer.allocUnsafeSlow(bytesAtOnce), Buffer.allocUnsafeSlow(bytesAtOnce)] as const;
    let reading = file.read(buffers[0], 0, bytesAtOnce);
    for (let turn = 0; ; turn ^= 1) {
      const { buffer, bytesRead } = await reading;
      if (bytesRead === 0) return;
      reading = file.read(buffers[turn ^ 1]!, 0, bytesAtOnce);
      yield buffer.subarray(0, bytesRead);
    }
  } finally {
    await file.close();
  }
}

/** All files below a directory, including links to files, which downloads from a hub consist of. */
export async function filesBelow(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const paths = entries.filter((entry) => !entry.isDirectory()).map(({ parentPath, name }) => join(parentPath, name));
  const isFile = await Promise.all(paths.map(async (path) => (await stat(path).catch(() => undefined))?.isFile()));
  return paths.filter((_, index) => isFile[index]).sort();
}

async function hashDirectory(directory: string): Promise<string> {
  const hash = createHash('sha256');
  for (const file of await filesBelow(directory)) {
    hash.update(`${relative(directory, file)}\0`);
    for await (const bytes of bytesOf(file)) hash.update(bytes);
  }
  return hash.digest('hex');
}
