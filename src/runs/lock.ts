import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeError } from '../checkpoint/write-error.ts';
import { parseJson } from '../config/json.ts';
import { RequestError } from '../errors.ts';
import { fileNames } from './file-names.ts';
import { identitySchema, ownIdentity, type ProcessIdentity, whereabouts } from './process-identity.ts';

/**
 * Takes the folder of a node for this process and returns what gives it back, so that no two processes write into it.
 * The lock of a process that is gone counts for nothing.
 * @throws RequestError where another process is at work, or may be
 */
export function lockNode(directory: string): () => void {
  const file = lockFile(directory);
  const text = `${JSON.stringify(ownIdentity())}\n`;
  removeAbandoned(directory);
  try {
    // `wx`: of two that come at once, one is refused.
    writeFileSync(file, text, { flag: 'wx' });
  } catch (error) {
    requireUnlocked(directory);
    throw writeError(error, file);
  }
  return () => {
    if (textOf(file) === text) rmSync(file, { force: true });
  };
}

/** @throws RequestError where another process is at work in the folder, or may be */
export function requireUnlocked(directory: string): void {
  const holder = holderOf(textOf(lockFile(directory)));
  if (holder) throw occupied(directory, holder);
}

/** True where another process is at work in the folder, or may be. */
export function isLocked(directory: string): boolean {
  return holderOf(textOf(lockFile(directory))) !== undefined;
}

/** Another process may have taken the folder since it was looked at: then it gets its lock back. */
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

/** The process that a lock names, unless it is gone, or was gone before it had written its lock. */
function holderOf(text: string | undefined): ProcessIdentity | undefined {
  const lock = identitySchema.safeParse(parsed(text)).data;
  return !lock || whereabouts(lock) === 'gone' ? undefined : lock;
}

function occupied(directory: string, holder: ProcessIdentity): RequestError {
  const { pid, host } = holder;
  if (whereabouts(holder) === 'unknown') {
    return new RequestError({
      where: directory,
      message: `process ${pid} of ${host} is running in it, or has died there; that cannot be seen from here`,
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
