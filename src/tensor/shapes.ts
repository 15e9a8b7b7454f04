import { RunError } from '../errors.ts';
import type { Backend } from './backends/backend.ts';
import type { Shape, Tensor } from './tensor.ts';

/** Backends support at most this many dimensions. */
const maxRank = 4;
const bytesPerElement = 4;
const largestInt32 = 2 ** 31 - 1;

export function sameShape(a: Shape, b: Shape): boolean {
  if (a.length !== b.length) return false;
  for (let d = 0; d < a.length; d++) if (a[d] !== b[d]) return false;
  return true;
}

/** Throws unless the operands are floats and not empty. */
export function requireFloats(operation: string, ...operands: readonly Tensor[]): void {
  for (const { dtype, shape, size } of operands) {
    if (dtype !== 'f32') throw new Error(`${operation}: an operand is ${dtype}, f32 is needed`);
    if (size === 0) throw new Error(`${operation}: an operand of [${shape}] has no elements`);
  }
}

/** Throws unless operand `what` of an operation has this shape. */
export function requireShape(operation: string, what: string, { shape }: Tensor, expected: Shape): void {
  if (!sameShape(shape, expected)) throw new Error(`${operation}: ${what} is [${shape}], [${expected}] is needed`);
}

/** The two extents of an operand. @throws Error unless it is a matrix */
export function requireMatrix(operation: string, what: string, { shape }: Tensor): readonly [number, number] {
  if (shape.length !== 2) throw new Error(`${operation}: ${what} is [${shape}], a matrix is needed`);
  return shape as unknown as readonly [number, number];
}

/**
 * Returns the shape of an operation's result after checking it.
 * @throws Error if it has no elements or too many dimensions, RunError if it is larger than the backend's memory
 */
export function resultShape({ limits: { memory } }: Backend, operation: string, shape: Shape): Shape {
  let size = 1;
  for (const extent of shape) {
    if (!(Number.isInteger(extent) && extent > 0))
      throw new Error(`${operation}: a result of [${shape}] has no elements`);
    size *= extent;
  }
  if (shape.length > maxRank)
    throw new Error(`${operation}: a result of [${shape}] has more than ${maxRank} dimensions`);
  if (size * bytesPerElement > memory) {
    const gigabytes = (bytes: number): string => `${(bytes / 1e9).toFixed(0)} GB`;
    throw new RunError(
      `${operation}: a result of [${shape}] takes ${gigabytes(size * bytesPerElement)}, and this machine has ${gigabytes(memory)}`,
      { hint: 'lower batchSize or the sequence length' },
    );
  }
  return shape;
}

/** Throws unless `count` elements can be indexed by int32. */
export function requireInt32(operation: string, what: string, count: number): void {
  if (count <= largestInt32) return;
  throw new RunError(`${operation}: ${what} are ${count}, more than 32-bit indices allow`, {
    hint: 'lower batchSize or the sequence length, or use a backend with a kernel for it, which has no such limit',
  });
}

/** Throws unless every id is at least 0 and less than `rows`. */
export function requireIds(operation: string, ids: ArrayLike<number>, rows: number): void {
  for (let i = 0; i < ids.length; i++) {
    if (!(ids[i]! >= 0 && ids[i]! < rows))
      throw new Error(`${operation}: id ${ids[i]} at index ${i} is outside a table of ${rows} rows`);
  }
}
