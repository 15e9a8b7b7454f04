import { appendFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { WriteError, writeError } from '../checkpoint/write-error.ts';
import { visible } from '../visible.ts';
import { fileNames } from './file-names.ts';

/** Receives warnings: what the user should know at once but what does not end the run, such as a failed write. */
export type Warn = (message: string) => void;

/**
 * Returns a function that appends lines with the time to `log.txt`, by path or by an open descriptor. If the disk
 * refuses them, the user is warned once and the run continues.
 */
export function openLog(directory: string, warn: Warn, descriptor?: number): (message: string) => void {
  const file = join(directory, fileNames.log);
  let isRefused = false;
  return (message) => {
    try {
      appendFileSync(descriptor ?? file, `${new Date().toISOString()} ${visible(message)}\n`);
      isRefused = false;
    } catch (error) {
      const told = writeError(error, file);
      if (!(told instanceof WriteError)) throw error;
      if (!isRefused)
        warn(`${file} could not be written: ${told.reason}; the run continues, but its messages are lost`);
      isRefused = true;
    }
  };
}

/** The last lines of a node's log, ignoring its first `from` bytes; empty if there is no log. */
export async function lastWords(directory: string, lines: number, from = 0): Promise<string> {
  const bytes = await readFile(join(directory, fileNames.log)).catch(() => Buffer.alloc(0));
  return bytes.subarray(from).toString('utf8').trim().split('\n').slice(-lines).join('\n');
}
