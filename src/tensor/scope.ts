import type { Backend, HostArray } from './backends/backend.ts';
import { type DType, type Shape, sizeOf, Tensor } from './tensor.ts';

const scopes: Tensor[][] = [];

/**
 * Runs `body` and releases every tensor created in it, except the tensor or tensors it returns. These belong to the
 * enclosing scope or, with `adopt: false` or outside any scope, to the caller.
 */
export function scope<T>(body: () => T, { adopt = true }: { adopt?: boolean } = {}): T {
  const made: Tensor[] = [];
  scopes.push(made);
  try {
    const result = body();
    const kept = (Array.isArray(result) ? result : [result]).filter((value) => value instanceof Tensor);
    for (const tensor of kept) tensor.retain();
    if (adopt) scopes.at(-2)?.push(...kept);
    return result;
  } finally {
    scopes.pop();
    for (const tensor of made) tensor.release();
  }
}

/** A tensor with undefined contents, owned by the innermost scope or, outside any scope, by the caller. */
export function empty(backend: Backend, shape: Shape, dtype: DType = 'f32'): Tensor {
  const tensor = new Tensor(backend, shape, { storage: backend.allocate(sizeOf(shape), dtype), owners: 1 });
  scopes.at(-1)?.push(tensor);
  return tensor;
}

/** Makes the innermost scope release a tensor. */
export function own(tensor: Tensor): Tensor {
  scopes.at(-1)?.push(tensor);
  return tensor;
}

/** A tensor with the elements of a host array: i32 for an Int32Array, else f32. */
export function fromHost(backend: Backend, data: HostArray, shape: Shape = [data.length]): Tensor {
  if (data.length !== sizeOf(shape)) throw new Error(`fromHost: [${shape}] does not have ${data.length} elements`);
  const tensor = empty(backend, shape, data instanceof Int32Array ? 'i32' : 'f32');
  backend.write(tensor, data);
  return tensor;
}

/** A tensor whose elements all have the given value. */
export function filled(backend: Backend, shape: Shape, value: number): Tensor {
  const tensor = empty(backend, shape);
  backend.fill(tensor, value);
  return tensor;
}
