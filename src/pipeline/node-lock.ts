import { closeSync, existsSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { RequestError } from '../errors.ts';

/**
 * Takes the folder of a node for this process and returns what gives it back, so that no two processes write into it.
 * The lock of a process that is gone counts for nothing.
 * @throws RequestError where another process is at work
 */
export function lockNode(directory: string): () => void {
  const file = lockFile(directory);
  requireUnlocked(directory);
  rmSync(file, { force: true });
  const descriptor = openSync(file, 'wx');
  writeSync(descriptor, String(process.pid));
  closeSync(descriptor);
  return () => rmSync(file, { force: true });
}

/** @throws RequestError where another process is at work in the folder */
export function requireUnlocked(directory: string): void {
  if (!isLocked(directory)) return;
  const pid = readFileSync(lockFile(directory), 'utf8');
  throw new RequestError({
    where: directory,
    message: `process ${pid} is at work in it`,
    hint: 'wait until it has ended, or choose another folder with --out',
  });
}

/** True where another process is at work in the folder. */
export function isLocked(directory: string): boolean {
  const file = lockFile(directory);
  return existsSync(file) && isRunning(Number(readFileSync(file, 'utf8')));
}

function lockFile(directory: string): string {
  return join(directory, 'node.lock');
}

function isRunning(pid: number): boolean {
  if (pid === process.pid || !Number.isInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
