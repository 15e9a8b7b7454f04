import type { Backend } from './backends/backend.ts';

/**
 * `operand`: rows in the form in which a backend's matrix products take them, in 32-bit words; only kernels read it.
 */
export type DType = 'f32' | 'i32' | 'operand';
export type Shape = readonly number[];

/** A block of memory that a backend owns. What is in it, and where, only the backend knows. */
export interface Storage {
  /** Number of elements that the block can hold; at least what was asked for. */
  readonly length: number;
  readonly dtype: DType;
}

/**
 * A dense row-major array on a backend. Its storage is shared by views and counted: it goes back to the pool when the
 * last owner releases it. A scope (`Backend.scope`) owns each tensor made in it, the tape owns what a backward pass
 * needs.
 */
export class Tensor {
  readonly backend: Backend;
  readonly shape: Shape;
  readonly size: number;
  readonly dtype: DType;
  /**
   * True for a gradient that nobody has added to yet: its contents count as zero and the first addition overwrites
   * them.
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

  /** The storage; throws if it was given back to the pool, which is always a defect of the caller. */
  get storage(): Storage {
    if (this.#owner.owners === 0) throw new Error(`tensor [${this.shape}] was used after its memory was released`);
    return this.#owner.storage;
  }

  get released(): boolean {
    return this.#owner.owners === 0;
  }

  /** How many would see a change of the elements. */
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

  /** A tensor of these elements under another shape; shares storage and is one more owner of it. */
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
