import { RequestError } from '../errors.ts';
import { type Dtype, type FloatDtype, isFloatDtype } from './dtype.ts';

/** The description of a tensor in a file. */
export interface StoredTensor {
  name: string;
  dtype: Dtype;
  shape: readonly number[];
}

export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

/** Tensors on disk, read one at a time; no file is kept open between two reads. */
export interface TensorStore {
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  readonly metadata: ReadonlyMap<string, string>;
  /**
   * The elements of a float tensor as float32, in row-major order. If `into` is given, it is filled and returned; it
   * must have the tensor's length, or that of the part to read from element `from` on.
   */
  readFloat32(name: string, into?: Float32Array, from?: number): Promise<Float32Array>;
  /** The file that contains a tensor. */
  fileOf(name: string): string;
  /** The little-endian bytes of any tensor. */
  readBytes(name: string): Promise<Uint8Array>;
}

/** @throws RequestError if the file has no tensor of that name */
export function tensorNamed<T>(tensors: ReadonlyMap<string, T>, name: string, path: string): T {
  const tensor = tensors.get(name);
  if (!tensor) throw new RequestError({ where: name, message: 'there is no such tensor' }, path);
  return tensor;
}

/**
 * Checks the arguments of `readFloat32`: the tensor's type, and the array to fill, which is created if none is given.
 * @throws RequestError if the tensor does not hold floats, or fewer than requested
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
