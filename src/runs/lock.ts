import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeError } from '../checkpoint/write-error.ts';
import { parseJson } from '../config/json.ts';
import { RequestError } from '../errors.ts';
import { fileNames } from './file-names.ts';
import { identitySchema, ownIdentity, type ProcessIdentity, whereabouts } from './process-identity.ts';

/**
 * Locks a node's folder for this process, so that no two processes write into it, and returns a function that unlocks
 * it. The lock of a process that no longer exists is ignored.
 * @throws RequestError if another process is, or may be, running in the folder
 */
export function lockNode(directory: string): () => void {
  const file = lockFile(directory);
  const text = `${JSON.stringify(ownIdentity())}\n`;
  removeAbandoned(directory);
  try {
    // `wx`: if two processes try at once, one of them fails.
    writeFileSync(file, text, { flag: 'wx' });
  } catch (error) {
    requireUnlocked(directory);
    throw writeError(error, file);
  }
  return () => {
    if (textOf(file) === text) rmSync(file, { force: true });
  };
}

/** @throws RequestError if another process is, or may be, running in the folder */
export function requireUnlocked(directory: string): void {
  const holder = holderOf(textOf(lockFile(directory)));
  if (holder) throw occupied(directory, holder);
}

/** Whether another process is, or may be, running in the folder. */
export function isLocked(directory: string): boolean {
  return holderOf(textOf(lockFile(directory))) !== undefined;
}

/** Another process may lock the folder between the check and the rename; its lock is then put back. */
function removeAbandoned(directory: string): void {
  const file = lockFile(directory);
  const seen = textOf(file);
  if (seen === undefined) return;
  const holder = holderOf(seen);
  if (holder) throw occupied(directory, holder);
  const aside = `${file}.${process.pid}`;
  try {
    renameSync(file, aside);
  } catch {
    return;
  }
  if (textOf(aside) === seen) rmSync(aside, { force: true });
  else renameSync(aside, file);
}

/** The process that holds a lock; undefined if it no longer exists, or died before it had written its lock. */
function holderOf(text: string | undefined): ProcessIdentity | undefined {
  const lock = identitySchema.safeParse(parsed(text)).data;
  return !lock || whereabouts(lock) === 'gone' ? undefined : lock;
}

function occupied(directory: string, holder: ProcessIdentity): RequestError {
  const { pid, host } = holder;
  if (whereabouts(holder) === 'unknown') {
    return new RequestError({
      where: directory,
      message: `process ${pid} on ${host} is running in it or has died; that cannot be seen from here`,
      hint: `if it is no longer running, delete ${lockFile(directory)}`,
    });
  }
  return new RequestError({
    where: directory,
    message: `process ${pid} is running in it`,
    hint: 'wait until it has ended, or choose another folder with --out',
  });
}

function lockFile(directory: string): string {
  return join(directory, fileNames.lock);
}

function textOf(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}

function parsed(text: string | undefined): unknown {
  try {
    return parseJson(text ?? '');
  } catch {
    return undefined;
  }
}
