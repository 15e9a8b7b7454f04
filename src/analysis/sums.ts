import type { HostArray } from '../tensor/backends/backend.ts';

/** Σ a·b over the elements from `start` to before `end`, in double precision. */
export function dot(a: HostArray, b: HostArray, start: number, end: number): number {
  let sum = 0;
  for (let i = start; i < end; i++) sum += a[i]! * b[i]!;
  return sum;
}

/** Σ a² over the elements from `start` to before `end`, in double precision. */
export const sumOfSquares = (a: HostArray, start: number, end: number): number => dot(a, a, start, end);
