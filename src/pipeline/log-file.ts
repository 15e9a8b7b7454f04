import { appendFileSync } from 'node:fs';
import { WriteError, writeError } from '../checkpoint/write-error.ts';
import { visible } from '../visible.ts';
import type { Warn } from './retry.ts';

/**
 * What appends lines with their time to `log.txt`, by path or descriptor. A disk that refuses is told once, and nothing
 * ends.
 */
export function openLog(file: string, warn: Warn, descriptor?: number): (message: string) => void {
  let isRefused = false;
  return (message) => {
    try {
      appendFileSync(descriptor ?? file, `${new Date().toISOString()} ${visible(message)}\n`);
      isRefused = false;
    } catch (error) {
      const told = writeError(error, file);
      if (!(told instanceof WriteError)) throw error;
      if (!isRefused) warn(`${file} could not be written: ${told.reason}; the run goes on, and what it says is lost`);
      isRefused = true;
    }
  };
}
