import type { Backend } from './backends/backend.ts';

/** `operand` is a matrix in the layout of a backend's matrix products, in 32-bit words; only kernels read it. */
export type DType = 'f32' | 'i32' | 'operand';
export type Shape = readonly number[];

/** A block of memory owned by a backend, which alone knows where it is. */
export interface Storage {
  /** Number of elements that the block can hold; at least the number requested. */
  readonly length: number;
  readonly dtype: DType;
}

/**
 * A dense row-major array on a backend. Its storage is shared by views and reference-counted: it returns to the pool
 * when the last owner releases it. A `scope` owns each tensor created in it; the tape owns what a backward pass needs.
 */
export class Tensor {
  readonly backend: Backend;
  readonly shape: Shape;
  readonly size: number;
  readonly dtype: DType;
  /**
   * True for a gradient to which nothing has been added yet: its contents count as zero, and the first addition
   * overwrites them.
   */
  blank = false;
  readonly #owner: SharedStorage;

  constructor(backend: Backend, shape: Shape, owner: SharedStorage) {
    this.backend = backend;
    this.shape = shape;
    this.size = sizeOf(shape);
    this.dtype = owner.storage.dtype;
    this.#owner = owner;
  }

  /** The storage. @throws Error if it was already released, which is always a defect of the caller */
  get storage(): Storage {
    if (this.#owner.owners === 0) throw new Error(`tensor [${this.shape}] was used after its memory was released`);
    return this.#owner.storage;
  }

  get released(): boolean {
    return this.#owner.owners === 0;
  }

  /** Number of owners of the storage, all of whom would see a change of its elements. */
  get owners(): number {
    return this.#owner.owners;
  }

  retain(): this {
    this.#owner.owners++;
    return this;
  }

  release(): void {
    if (this.#owner.owners === 0) throw new Error(`tensor [${this.shape}] was released twice`);
    if (--this.#owner.owners === 0) this.backend.free(this.#owner.storage);
  }

  /** A tensor with the same elements in another shape. It shares the storage and is a further owner of it. */
  view(shape: Shape): Tensor {
    if (sizeOf(shape) !== this.size) throw new Error(`cannot view [${this.shape}] as [${shape}]`);
    this.retain();
    return new Tensor(this.backend, shape, this.#owner);
  }
}

export interface SharedStorage {
  readonly storage: Storage;
  owners: number;
}

export function sizeOf(shape: Shape): number {
  let size = 1;
  for (const extent of shape) size *= extent;
  return size;
}
