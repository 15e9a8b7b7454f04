import type { DType, Storage, Tensor } from '../tensor.ts';
import type { Kernels } from './kernels/index.ts';
import type { Limits } from './limits.ts';

export type Precision = 'f32' | 'bf16' | 'f64';
export type HostArray = Float32Array | Float64Array | Int32Array;

export type UnaryKind = 'neg' | 'exp' | 'log' | 'sigmoid' | 'rsqrt' | 'copy';
export type BinaryKind = 'add' | 'sub' | 'mul' | 'div' | 'maximum' | 'greater';
export type ReduceKind = 'sum' | 'max';

export interface MatmulOptions {
  transposeA?: boolean;
  transposeB?: boolean;
  /** Add the product to `out` instead of overwriting it. */
  accumulate?: boolean;
}

/**
 * Computes on arrays. An operation writes into an output tensor that the caller has allocated. Operations are enqueued,
 * return at once and run in order; only `read` and `sync` wait. The caller has checked the shapes
 * (`src/tensor/primitives.ts` and the files of fused operations).
 *
 * `precision` is the precision of matrix products: `bf16` means operands rounded to bfloat16 and sums in float32.
 * Everything else is float32 (float64 in the portable oracle).
 */
export interface Backend {
  /** The name in `src/tensor/backends/index.ts`. */
  readonly name: string;
  /** One line that says what computes, and in what precision. */
  readonly description: string;
  readonly precision: Precision;
  readonly limits: Limits;

  /** Allocates memory from the pool; its contents are undefined. */
  allocate(length: number, dtype: DType): Storage;
  /** Returns memory to the pool; operations already enqueued may still use it. */
  free(storage: Storage): void;
  /** Enqueues a copy of host data into the elements from `offset`; the array may be reused at once. */
  write(out: Tensor, data: HostArray, offset?: number): void;
  /** Waits for everything enqueued before, then returns a copy of the elements. */
  read(x: Tensor): Promise<HostArray>;
  /** Waits for everything enqueued before. */
  sync(): Promise<void>;
  /** Ends the backend's threads and frees its memory. */
  dispose(): Promise<void>;
  /** Bytes in use by live storages, and bytes held by the pool. */
  memory(): { used: number; held: number };

  fill(out: Tensor, value: number): void;
  unary(kind: UnaryKind, x: Tensor, out: Tensor): void;
  /** `a` and `b` broadcast to the shape of `out` by the usual trailing-dimension rule. Rank at most 4. */
  binary(kind: BinaryKind, a: Tensor, b: Tensor, out: Tensor): void;
  /** out = condition ≠ 0 ? a : b, all three broadcast to `out`. */
  select(condition: Tensor, a: Tensor, b: Tensor, out: Tensor): void;
  /** `out` has the shape of `x` with 1 in each reduced dimension. With `accumulate` (sum only) adds to `out`. */
  reduce(kind: ReduceKind, x: Tensor, out: Tensor, accumulate?: boolean): void;
  /** [batch…, M, K] · [batch…, K, N] → [batch…, M, N] (before transposes); equal batch dimensions. */
  matmul(a: Tensor, b: Tensor, out: Tensor, options?: MatmulOptions): void;
  /** out[i, …] = table[ids[i], …]; `ids` is i32. */
  gather(table: Tensor, ids: Tensor, out: Tensor): void;
  /** out[ids[i], …] += source[i, …]; repeated ids are summed in order of i. */
  scatterAdd(source: Tensor, ids: Tensor, out: Tensor): void;
  /** out dimension d = x dimension permutation[d]. Rank at most 4. */
  transpose(x: Tensor, permutation: readonly number[], out: Tensor): void;
  /** out = x[…, start : start + out.shape[axis], …]. */
  slice(x: Tensor, axis: number, start: number, out: Tensor): void;
  /** out[…, start : start + x.shape[axis], …] = x, or += with `accumulate`. */
  place(x: Tensor, axis: number, start: number, out: Tensor, accumulate?: boolean): void;

  /** out += factor · x, elementwise, equal shapes. */
  addScaled(x: Tensor, factor: number, out: Tensor): void;

  readonly kernels: Kernels;

  /** The cost of each operation so far, after everything enqueued has run; absent if the backend does not count. */
  profile?(): Promise<OperationCost[]>;
}

/** The cost of one kind of operation, over all its calls. */
export interface OperationCost {
  operation: string;
  calls: number;
  seconds: number;
  flops: number;
  /** Minimum traffic between memory and processor, assuming cold caches; 0 if the operation does not count it. */
  bytes: number;
}
