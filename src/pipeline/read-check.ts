import { stat } from 'node:fs/promises';
import { dirname, relative, resolve } from 'node:path';
import { verifyManifest } from '../checkpoint/manifest.ts';
import { datasetFiles } from '../data/dataset.ts';
import { RequestError } from '../errors.ts';
import type { NodeJob } from '../runs/node-file.ts';
import { isSealed } from '../runs/seal.ts';
import { contentsBelow, filesBelow } from './contents.ts';

/** @throws RequestError if a file has changed since it was hashed, even if it was changed back */
export type ReadCheck = () => Promise<void>;

/**
 * Verifies that everything a node reads is what its key was computed from: hashes it again, and returns a check to call
 * after reading that no file was touched meanwhile. Together they ensure that the bytes read are those hashed.
 * @throws RequestError if something has changed since the run was planned
 */
export async function checkReads(job: NodeJob): Promise<ReadCheck> {
  const files = await filesOf(job);
  const before = await Promise.all(files.map(marksOf));
  await requireHashes(job);
  return async () => {
    const after = await Promise.all(files.map(marksOf));
    const changed = files.find((_, index) => before[index] !== after[index]);
    if (changed) throw changedError(changed, 'changed while it was being read');
  };
}

async function filesOf({ reads, inputs, baseDirectory }: NodeJob): Promise<string[]> {
  const { datasets = [], files = {} } = reads ?? {};
  const ofDatasets = await Promise.all(datasets.map(({ source, use }) => datasetFiles(source, use, baseDirectory)));
  const directories = Object.values(inputs).flatMap((list) => list.map(({ directory }) => directory));
  const ofDirectories = await Promise.all(directories.map((directory) => filesBelow(directory).catch(() => [])));
  return [
    ...ofDatasets.flat(),
    ...ofDirectories.flat(),
    ...Object.keys(files).map((path) => resolve(baseDirectory, path)),
  ];
}

/** Changes whenever a file is written or replaced: unlike the modification time, the change time cannot be set back. */
async function marksOf(file: string): Promise<string> {
  const found = await stat(file, { bigint: true }).catch(() => undefined);
  return found ? [found.dev, found.ino, found.size, found.mtimeNs, found.ctimeNs].join(' ') : 'gone';
}

async function requireHashes({ reads, inputs, baseDirectory }: NodeJob): Promise<void> {
  const contents = contentsBelow(baseDirectory);
  const require = async (where: string, now: Promise<string>, hash: string) => {
    if ((await now.catch(() => 'gone')) !== hash) throw changedError(where, 'has changed since this run was planned');
  };
  const { datasets = [], directories = {}, files = {} } = reads ?? {};
  for (const { source, use, hash } of datasets) await require(source, contents.dataset(source, use), hash);
  for (const [path, hash] of Object.entries(directories)) await require(path, contents.directory(path), hash);
  for (const [path, hash] of Object.entries(files)) await require(path, contents.file(path), hash);
  for (const { directory } of Object.values(inputs).flat()) {
    // Produced by another node.
    const node = dirname(directory);
    if (directory in directories || !isSealed(node)) continue;
    const [problem] = await verifyManifest(node);
    if (problem) throw changedError(problem.where ?? node, problem.message);
  }
}

function changedError(path: string, message: string): RequestError {
  const hint = 'run the same command again once nothing is writing to it';
  return new RequestError({ where: relative('', path) || path, message, hint });
}
