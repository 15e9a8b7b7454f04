import { setTimeout } from 'node:timers/promises';
import { WriteError } from '../checkpoint/write-error.ts';
import type { Warn } from '../runs/log-file.ts';

/**
 * Seconds before each further try: `patiently` for writes without which all work since the last save would be lost,
 * `shortly` for others.
 */
const patiently: readonly number[] = [1, 2, 4, 8, 15, 30, 60];
export const shortly: readonly number[] = [1, 2];

const pollMilliseconds = 100;

/**
 * Retries a write that fails, waiting longer each time. Once `isHurried`, there is only one more try.
 * @throws WriteError if the last try fails too
 */
export async function untilWritten<T>(
  write: () => Promise<T> | T,
  warn: Warn,
  { waits = patiently, isHurried = () => false }: { waits?: readonly number[]; isHurried?: () => boolean } = {},
): Promise<T> {
  for (const seconds of waits) {
    try {
      return await write();
    } catch (error) {
      if (!(error instanceof WriteError)) throw error;
      warn(`${error.message}; trying again in ${seconds} s`);
    }
    for (let left = 1000 * seconds; left > 0 && !isHurried(); left -= pollMilliseconds) {
      await setTimeout(pollMilliseconds);
    }
    if (isHurried()) break;
  }
  return write();
}
