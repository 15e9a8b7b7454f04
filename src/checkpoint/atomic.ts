import { randomBytes } from 'node:crypto';
import { type FileHandle, lstat, mkdir, open, readdir, rename, rm, statfs } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { WriteError, writeError } from './write-error.ts';

/**
 * Fills a temporary sibling of `final`, flushes it to disk and renames it. An existing directory is replaced: it is
 * kept as `<final>.replaced` until the new one is in place, and `recoverDirectory` undoes a crash between the two
 * renames. If `write` throws, `final` is unchanged.
 */
export async function writeDirectoryAtomically(
  final: string,
  write: (temporary: string) => Promise<void>,
): Promise<void> {
  const target = resolve(final);
  const temporary = temporarySibling(target);
  try {
    await mkdir(dirname(target), { recursive: true });
    await recoverDirectory(target);
    await removeAbandoned(target);
    await mkdir(temporary);
    await write(temporary);
    await syncTree(temporary);
    const replaced = `${target}.replaced`;
    if (await exists(replaced)) await removeDirectory(replaced);
    if (await exists(target)) await rename(target, replaced);
    await rename(temporary, target);
    await sync(dirname(target));
    if (await exists(replaced)) await removeDirectory(replaced);
  } catch (error) {
    // If the disk fails here as well, the next writer does both.
    await recoverDirectory(target).catch(() => undefined);
    await rm(temporary, { recursive: true, force: true }).catch(() => undefined);
    throw writeError(error, target);
  }
}

/** Restores a directory whose replacement was interrupted between the two renames. */
export async function recoverDirectory(final: string): Promise<void> {
  const replaced = `${resolve(final)}.replaced`;
  if (!(await exists(final)) && (await exists(replaced))) await rename(replaced, final);
}

/** Writes a file under a temporary name, flushes it to disk and renames it; on failure the old file is unchanged. */
export async function writeFileAtomically(
  path: string,
  content: string | Uint8Array | ((file: FileHandle) => Promise<void>),
): Promise<void> {
  const temporary = temporarySibling(resolve(path));
  try {
    const file = await open(temporary, 'wx');
    try {
      if (typeof content === 'function') await content(file);
      else await file.writeFile(content);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
    await sync(dirname(resolve(path)));
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined);
    throw writeError(error, path);
  }
}

/** Deletes a directory in such a way that a crash never leaves part of it under its name. */
export async function removeDirectory(directory: string): Promise<void> {
  const doomed = temporarySibling(resolve(directory));
  await rename(directory, doomed);
  await rm(doomed, { recursive: true, force: true });
}

/** @throws WriteError if the file system of `directory` (which must exist) has fewer than `bytes` bytes free */
export async function requireFreeSpace(directory: string, bytes: number, what: string): Promise<void> {
  const { bavail, bsize } = await statfs(directory);
  const free = bavail * bsize;
  if (free >= bytes) return;
  throw new WriteError(directory, `${what} needs ${size(bytes)}, and ${size(free)} are free`);
}

function size(bytes: number): string {
  return bytes < 1e9 ? `${Math.ceil(bytes / 1e6)} MB` : `${(bytes / 1e9).toFixed(2)} GB`;
}

/** A name beside `path`, on the same file system, that identifies the process that made it. */
function temporarySibling(path: string): string {
  return `${path}.tmp-${process.pid}-${randomBytes(4).toString('hex')}`;
}

/** Matches the end of the names that `temporarySibling` makes. */
const pattern = /\.tmp-(\d+)-[0-9a-f]{8}$/;

/** Deletes the remains of interrupted writes in a folder that no other process writes into. */
export async function removeLeftovers(directory: string): Promise<void> {
  for (const name of await readdir(directory)) {
    if (pattern.test(name)) await rm(join(directory, name), { recursive: true, force: true });
  }
}

/** Deletes the remains beside `path` of processes that no longer exist. */
async function removeAbandoned(path: string): Promise<void> {
  for (const name of await readdir(dirname(path))) {
    const match = pattern.exec(name);
    if (!match || name.slice(0, match.index) !== basename(path) || isRunning(Number(match[1]))) continue;
    await rm(join(dirname(path), name), { recursive: true, force: true });
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

async function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  );
}

async function syncTree(directory: string): Promise<void> {
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) await syncTree(path);
    else if (entry.isFile()) await sync(path);
  }
  await sync(directory);
}

async function sync(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
