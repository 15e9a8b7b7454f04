import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

export function fixturePath(name: string): string {
  return fileURLToPath(new URL(`fixtures/${name}`, import.meta.url));
}

export async function readFixture<T>(name: string): Promise<T> {
  return JSON.parse(await readFile(fixturePath(name), 'utf8')) as T;
}

/** The largest |actual − expected| of two lists; throws if their lengths differ. */
export function largestDifference(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (actual.length !== expected.length) throw new Error(`${actual.length} values instead of ${expected.length}`);
  return Array.from(expected).reduce((largest, value, i) => maxOrNaN(largest, Math.abs(actual[i]! - value)), 0);
}

/** The largest |actual − expected| / |expected| of two lists. */
export function largestRelativeDifference(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  const ratios = Array.from(expected, (value, i) => actual[i]! / value);
  return largestDifference(
    ratios,
    ratios.map(() => 1),
  );
}

/** NaN if either is, so that comparing it with a bound fails. */
function maxOrNaN(a: number, b: number): number {
  return Number.isNaN(a) || Number.isNaN(b) ? Number.NaN : Math.max(a, b);
}
