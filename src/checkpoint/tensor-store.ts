import { RequestError } from '../errors.ts';
import { type Dtype, type FloatDtype, isFloatDtype } from './dtype.ts';

/** A tensor as a file describes it. */
export interface StoredTensor {
  name: string;
  dtype: Dtype;
  shape: readonly number[];
}

export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

/** Tensors on disk, read one at a time; nothing is held open between two reads. */
export interface TensorStore {
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  readonly metadata: ReadonlyMap<string, string>;
  /**
   * The elements of a float tensor, row-major, as float32, in `into` where it is given: of the tensor's length, or for
   * as many as it holds from element `from` on.
   */
  readFloat32(name: string, into?: Float32Array, from?: number): Promise<Float32Array>;
  /** The file that holds a tensor. */
  fileOf(name: string): string;
  /** The little-endian bytes of any tensor. */
  readBytes(name: string): Promise<Uint8Array>;
}

/** @throws RequestError where a file has no tensor of that name */
export function tensorNamed<T>(tensors: ReadonlyMap<string, T>, name: string, path: string): T {
  const tensor = tensors.get(name);
  if (!tensor) throw new RequestError({ where: name, message: 'there is no such tensor' }, path);
  return tensor;
}

/**
 * Checks what `readFloat32` is asked of a tensor: the type of its numbers, and the array that they go into, which is
 * made where none is given.
 * @throws RequestError where they are no floats, or fewer than asked for
 */
export function floatsToRead(
  { name, dtype, shape }: StoredTensor,
  path: string,
  into: Float32Array | undefined,
  from: number | undefined,
): { dtype: FloatDtype; values: Float32Array } {
  const refusal = (message: string): RequestError => new RequestError({ where: name, message }, path);
  if (!isFloatDtype(dtype)) throw refusal(`is ${dtype}; floating-point numbers are needed here`);
  const elements = elementCount(shape);
  const values = into ?? new Float32Array(elements);
  if (from === undefined ? values.length !== elements : from + values.length > elements)
    throw refusal(`has ${elements} elements, not ${(from ?? 0) + values.length}`);
  return { dtype, values };
}
