import { requireIds } from '../shapes.ts';
import type { DType, Shape, Storage, Tensor } from '../tensor.ts';
import type { Backend, BinaryKind, HostArray, MatmulOptions, ReduceKind, UnaryKind } from './backend.ts';
import type { Kernels } from './kernels/index.ts';
import type { BackendKind } from './kind.ts';
import { hostLimits, type Limits } from './limits.ts';

type FloatArray = Float32Array | Float64Array;

interface PortableStorage extends Storage {
  readonly data: FloatArray | Int32Array;
}

const unaryFunctions: Record<UnaryKind, (x: number) => number> = {
  neg: (x) => -x,
  exp: Math.exp,
  log: Math.log,
  sigmoid: (x) => 1 / (1 + Math.exp(-x)),
  rsqrt: (x) => 1 / Math.sqrt(x),
  copy: (x) => x,
};

const binaryFunctions: Record<BinaryKind, (a: number, b: number) => number> = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
  div: (a, b) => a / b,
  maximum: Math.max,
  greater: (a, b) => (a > b ? 1 : 0),
};

const summary = 'plain TypeScript, about 200 times slower than native code';

/** The backend that is always available. */
export const portable: BackendKind = {
  name: 'portable',
  isInterpreted: true,
  precisions: ['f32'],
  available: () => Promise.resolve({ available: true, precision: 'f32', summary }),
  open: () => Promise.resolve(new PortableBackend('f32')),
};

/**
 * The primitives in plain TypeScript, computed immediately on the calling thread. With `f64` it is the oracle for all
 * kernels and for finite differences; with `f32` it is the fallback without a C++ compiler.
 */
export class PortableBackend implements Backend {
  readonly name: string = 'portable';
  readonly description: string = summary;
  readonly precision: 'f32' | 'f64';
  readonly limits: Limits;
  readonly kernels: Kernels = {};
  #used = 0;

  constructor(precision: 'f32' | 'f64' = 'f32') {
    this.precision = precision;
    this.limits = hostLimits({ operandBytes: precision === 'f64' ? 8 : 4, benchmarkSize: 256 });
  }

  allocate(length: number, dtype: DType): Storage {
    const FloatConstructor = this.precision === 'f64' ? Float64Array : Float32Array;
    const data = dtype === 'i32' ? new Int32Array(length) : new FloatConstructor(length);
    this.#used += data.byteLength;
    return { length, dtype, data } as PortableStorage;
  }

  free(storage: Storage): void {
    this.#used -= (storage as PortableStorage).data.byteLength;
  }

  write(out: Tensor, data: HostArray, offset = 0): void {
    elements(out).set(data, offset);
  }

  read(x: Tensor): Promise<HostArray> {
    return Promise.resolve(elements(x).slice(0, x.size));
  }

  sync(): Promise<void> {
    return Promise.resolve();
  }

  dispose(): Promise<void> {
    return Promise.resolve();
  }

  memory(): { used: number; held: number } {
    return { used: this.#used, held: this.#used };
  }

  fill(out: Tensor, value: number): void {
    elements(out).fill(value, 0, out.size);
  }

  unary(kind: UnaryKind, x: Tensor, out: Tensor): void {
    const f = unaryFunctions[kind];
    const [source, target] = [elements(x), elements(out)];
    for (let i = 0; i < x.size; i++) target[i] = f(source[i]!);
  }

  binary(kind: BinaryKind, a: Tensor, b: Tensor, out: Tensor): void {
    const f = binaryFunctions[kind];
    const [left, right, target] = [elements(a), elements(b), elements(out)];
    const [leftIndex, rightIndex] = [broadcastIndex(a.shape, out.shape), broadcastIndex(b.shape, out.shape)];
    for (let i = 0; i < out.size; i++) target[i] = f(left[leftIndex(i)]!, right[rightIndex(i)]!);
  }

  select(condition: Tensor, a: Tensor, b: Tensor, out: Tensor): void {
    const [test, left, right, target] = [elements(condition), elements(a), elements(b), elements(out)];
    const index = [condition, a, b].map((x) => broadcastIndex(x.shape, out.shape));
    for (let i = 0; i < out.size; i++) target[i] = test[index[0]!(i)] ? left[index[1]!(i)]! : right[index[2]!(i)]!;
  }

  reduce(kind: ReduceKind, x: Tensor, out: Tensor, accumulate = false): void {
    const [source, target] = [elements(x), elements(out)];
    const index = broadcastIndex(out.shape, x.shape);
    if (!accumulate) target.fill(kind === 'sum' ? 0 : Number.NEGATIVE_INFINITY, 0, out.size);
    for (let i = 0; i < x.size; i++) {
      const at = index(i);
      target[at] = kind === 'sum' ? target[at]! + source[i]! : Math.max(target[at]!, source[i]!);
    }
  }

  matmul(a: Tensor, b: Tensor, out: Tensor, options: MatmulOptions = {}): void {
    const { transposeA = false, transposeB = false, accumulate = false } = options;
    const [rows, columns] = [out.shape.at(-2)!, out.shape.at(-1)!];
    const inner = a.shape.at(transposeA ? -2 : -1)!;
    const [aRow, aInner] = transposeA ? [1, rows] : [inner, 1];
    const [bInner, bColumn] = transposeB ? [1, inner] : [columns, 1];
    const [left, right, target] = [elements(a), elements(b), elements(out)];
    const batches = out.size / (rows * columns);
    for (let batch = 0; batch < batches; batch++) {
      const [a0, b0, o0] = [batch * rows * inner, batch * inner * columns, batch * rows * columns];
      for (let i = 0; i < rows; i++) {
        for (let j = 0; j < columns; j++) {
          let total = 0;
          for (let k = 0; k < inner; k++) {
            total += left[a0 + i * aRow + k * aInner]! * right[b0 + k * bInner + j * bColumn]!;
          }
          const at = o0 + i * columns + j;
          target[at] = accumulate ? target[at]! + total : total;
        }
      }
    }
  }

  gather(table: Tensor, ids: Tensor, out: Tensor): void {
    const [source, rows, target] = [elements(table), elements(ids), elements(out)];
    const width = out.size / ids.size;
    requireIds('gather', rows, table.shape[0]!);
    for (let i = 0; i < ids.size; i++) {
      target.set(source.subarray(rows[i]! * width, (rows[i]! + 1) * width), i * width);
    }
  }

  scatterAdd(source: Tensor, ids: Tensor, out: Tensor): void {
    const [rows, from, target] = [elements(ids), elements(source), elements(out)];
    const width = source.size / ids.size;
    requireIds('scatterAdd', rows, out.shape[0]!);
    for (let i = 0; i < ids.size; i++) {
      for (let k = 0; k < width; k++) target[rows[i]! * width + k]! += from[i * width + k]!;
    }
  }

  transpose(x: Tensor, permutation: readonly number[], out: Tensor): void {
    const [source, target] = [elements(x), elements(out)];
    const strides = rowMajorStrides(x.shape);
    const index = stridedIndex(
      out.shape,
      permutation.map((axis) => strides[axis]!),
    );
    for (let i = 0; i < out.size; i++) target[i] = source[index(i)]!;
  }

  slice(x: Tensor, axis: number, start: number, out: Tensor): void {
    const [source, target] = [elements(x), elements(out)];
    forEachRun(x.shape, axis, start, out.shape, (large, small, length) => {
      target.set(source.subarray(large, large + length), small);
    });
  }

  place(x: Tensor, axis: number, start: number, out: Tensor, accumulate = false): void {
    const [source, target] = [elements(x), elements(out)];
    forEachRun(out.shape, axis, start, x.shape, (large, small, length) => {
      for (let i = 0; i < length; i++) {
        target[large + i] = source[small + i]! + (accumulate ? target[large + i]! : 0);
      }
    });
  }

  addScaled(x: Tensor, factor: number, out: Tensor): void {
    const [source, target] = [elements(x), elements(out)];
    for (let i = 0; i < x.size; i++) target[i]! += factor * source[i]!;
  }
}

function elements(x: Tensor): FloatArray | Int32Array {
  return (x.storage as PortableStorage).data;
}

function rowMajorStrides(shape: Shape): number[] {
  const strides = Array<number>(shape.length).fill(1);
  for (let d = shape.length - 2; d >= 0; d--) strides[d] = strides[d + 1]! * shape[d + 1]!;
  return strides;
}

/** Maps a row-major index over `shape` to Σ coordinate · stride. */
function stridedIndex(shape: Shape, strides: readonly number[]): (index: number) => number {
  const own = rowMajorStrides(shape);
  return (index) => {
    let at = 0;
    for (let d = 0; d < shape.length; d++) at += (Math.floor(index / own[d]!) % shape[d]!) * strides[d]!;
    return at;
  };
}

/** Maps a row-major index over `target` to the element of a tensor of `shape` that is broadcast to it. */
function broadcastIndex(shape: Shape, target: Shape): (index: number) => number {
  if (`${shape}` === `${target}`) return (index) => index;
  if (shape.every((extent) => extent === 1)) return () => 0;
  const strides = rowMajorStrides(shape);
  const missing = target.length - shape.length;
  return stridedIndex(
    target,
    target.map((_, d) => (d < missing || shape[d - missing] === 1 ? 0 : strides[d - missing]!)),
  );
}

/** Calls `visit` for each contiguous run of elements in the slice `small` of `large` along `axis` from `start`. */
function forEachRun(
  large: Shape,
  axis: number,
  start: number,
  small: Shape,
  visit: (large: number, small: number, length: number) => void,
): void {
  const inner = large.slice(axis + 1).reduce((a, b) => a * b, 1);
  const outer = large.slice(0, axis).reduce((a, b) => a * b, 1);
  const length = small[axis]! * inner;
  for (let i = 0; i < outer; i++) visit((i * large[axis]! + start) * inner, i * length, length);
}
