import { availableParallelism } from 'node:os';
import type { DType, Storage, Tensor } from '../../tensor.ts';
import type {
  Backend,
  BinaryKind,
  HostArray,
  MatmulOptions,
  OperationCost,
  ReduceKind,
  UnaryKind,
} from '../backend.ts';
import { hostLimits, type Limits } from '../limits.ts';
import { extent, handleOf, type NativeStorage, product, shrinks, step } from './arguments.ts';
import { loadNative, type NativeLibrary } from './build.ts';
import { type NativeKernels, nativeKernels } from './kernels/index.ts';
import { RotaryNumbers } from './rotary.ts';

// The numbers must match the enumerations in src/native.
const unaryKinds: Record<UnaryKind, number> = { neg: 0, exp: 1, log: 2, sigmoid: 3, rsqrt: 4, copy: 5 };
const binaryKinds: Record<BinaryKind, number> = { add: 0, sub: 1, mul: 2, div: 3, maximum: 4, greater: 5 };
const reduceKinds: Record<ReduceKind, number> = { sum: 0, max: 1 };

/**
 * Creates a backend on the C++ engine. Every operation is one call with numbers only; it is added to a queue, which the
 * engine's own threads process in order. Results do not depend on the number of threads (default: as many as the
 * process may use).
 * @throws Error if the engine cannot be compiled or loaded
 */
export async function createNativeBackend(options: {
  precision: 'f32' | 'bf16';
  threads?: number;
}): Promise<NativeBackend> {
  const library = await loadNative();
  return new NativeBackend(library, options.precision, options.threads ?? availableParallelism());
}

export class NativeBackend implements Backend {
  readonly name = 'native';
  readonly precision: 'f32' | 'bf16';
  readonly threads: number;
  /** Such as "AMX with bfloat16". */
  readonly instructionSet: string;
  readonly description: string;
  readonly limits: Limits;
  readonly kernels: NativeKernels;
  readonly #library: NativeLibrary;
  readonly #engine: number;
  readonly #op: Record<string, number>;
  readonly #bits = new Float32Array(1);
  #disposed: Promise<void> | undefined;

  constructor(library: NativeLibrary, precision: 'f32' | 'bf16', threads: number) {
    this.precision = precision;
    this.threads = threads;
    this.instructionSet = library.instructionSet();
    const team = threads === 1 ? '1 thread' : `${threads} threads`;
    this.description = `native engine, ${this.instructionSet}, ${precision} products, ${team}`;
    this.limits = hostLimits({ operandBytes: precision === 'bf16' ? 2 : 4, benchmarkSize: 2048 });
    this.#library = library;
    this.#engine = library.create(threads, precision === 'bf16' ? 1 : 0);
    this.#op = Object.fromEntries(library.operationNames().map((name, index) => [name, index]));
    const engine = { library, engine: this.#engine, op: this.#op, rotaries: new RotaryNumbers(library, this.#engine) };
    this.kernels = nativeKernels(engine);
  }

  allocate(length: number, dtype: DType): Storage {
    const handle = this.#library.allocate(this.#engine, length * 4);
    return { length, dtype, handle, isWeight: false } as NativeStorage;
  }

  free(storage: Storage): void {
    if (this.#disposed) return;
    const { handle, isWeight } = storage as NativeStorage;
    if (isWeight) this.#library.enqueue(this.#engine, this.#op.forgetPacked!, handle);
    this.#library.release(this.#engine, handle);
  }

  write(out: Tensor, data: HostArray, offset = 0): void {
    const elements = out.dtype === 'i32' ? Int32Array : Float32Array;
    const converted = data instanceof elements ? data : elements.from(data);
    this.#library.write(this.#engine, handleOf(out), offset, converted);
  }

  async read(x: Tensor): Promise<HostArray> {
    const data = x.dtype === 'i32' ? new Int32Array(x.size) : new Float32Array(x.size);
    await this.#library.read(this.#engine, handleOf(x), data);
    return data;
  }

  async sync(): Promise<void> {
    await this.#library.sync(this.#engine);
  }

  dispose(): Promise<void> {
    this.#disposed ??= this.#library
      .sync(this.#engine)
      .catch(() => {}) // a failure that no read has reported
      .then(() => this.#library.destroy(this.#engine));
    return this.#disposed;
  }

  memory(): { used: number; held: number } {
    return { used: this.#library.usedBytes(this.#engine), held: this.#library.heldBytes(this.#engine) };
  }

  async profile(): Promise<OperationCost[]> {
    const names = Object.keys(this.#op);
    const numbers = new Float32Array(names.length * 4);
    await this.#library.costs(this.#engine, numbers);
    return names.map((operation, index) => {
      const [calls, seconds, gflop, gigabytes] = numbers.subarray(index * 4) as unknown as [
        number,
        number,
        number,
        number,
      ];
      return { operation, calls, seconds, flops: gflop * 1e9, bytes: gigabytes * 1e9 };
    });
  }

  fill(out: Tensor, value: number): void {
    this.#bits[0] = value;
    const word = out.dtype === 'i32' ? value >>> 0 : new Uint32Array(this.#bits.buffer)[0]!;
    this.#library.enqueue(this.#engine, this.#op.fill!, out.size, word, handleOf(out));
  }

  unary(kind: UnaryKind, x: Tensor, out: Tensor): void {
    this.#library.enqueue(this.#engine, this.#op.unary!, unaryKinds[kind], out.size, handleOf(x), handleOf(out));
  }

  binary(kind: BinaryKind, a: Tensor, b: Tensor, out: Tensor): void {
    const { shape } = out;
    // biome-ignore format: one line for each group of arguments
    this.#library.enqueue(this.#engine, this.#op.binary!, binaryKinds[kind],
      extent(shape, 3), extent(shape, 2), extent(shape, 1), extent(shape, 0),
      step(a, 3), step(a, 2), step(a, 1), step(a, 0),
      step(b, 3), step(b, 2), step(b, 1), step(b, 0),
      handleOf(a), handleOf(b), handleOf(out));
  }

  select(condition: Tensor, a: Tensor, b: Tensor, out: Tensor): void {
    const { shape } = out;
    // biome-ignore format: one line for each group of arguments
    this.#library.enqueue(this.#engine, this.#op.select!,
      extent(shape, 3), extent(shape, 2), extent(shape, 1), extent(shape, 0),
      step(condition, 3), step(condition, 2), step(condition, 1), step(condition, 0),
      step(a, 3), step(a, 2), step(a, 1), step(a, 0),
      step(b, 3), step(b, 2), step(b, 1), step(b, 0),
      handleOf(condition), handleOf(a), handleOf(b), handleOf(out));
  }

  reduce(kind: ReduceKind, x: Tensor, out: Tensor, accumulate = false): void {
    const [from, to] = [x.shape, out.shape];
    // biome-ignore format: one line for each group of arguments
    this.#library.enqueue(this.#engine, this.#op.reduce!, reduceKinds[kind],
      extent(from, 3), shrinks(from, to, 3), extent(from, 2), shrinks(from, to, 2),
      extent(from, 1), shrinks(from, to, 1), extent(from, 0), shrinks(from, to, 0),
      Number(accumulate), handleOf(x), handleOf(out));
  }

  matmul(a: Tensor, b: Tensor, out: Tensor, options: MatmulOptions = {}): void {
    const { transposeA = false, transposeB = false, accumulate = false } = options;
    const [rows, columns] = [extent(out.shape, 1), extent(out.shape, 0)];
    const inner = extent(a.shape, transposeA ? 1 : 0);
    // biome-ignore format: one line for each group of arguments
    this.#library.enqueue(this.#engine, this.#op.matmul!,
      out.size / (rows * columns), rows, columns, inner, Number(transposeA), Number(transposeB), Number(accumulate),
      handleOf(a), handleOf(b), handleOf(out));
  }

  gather(table: Tensor, ids: Tensor, out: Tensor): void {
    const [rows, width] = [table.shape[0]!, table.size / table.shape[0]!];
    // biome-ignore format: one line for each group of arguments
    this.#library.enqueue(this.#engine, this.#op.gather!, ids.size, rows, width,
      handleOf(table), handleOf(ids), handleOf(out));
  }

  scatterAdd(source: Tensor, ids: Tensor, out: Tensor): void {
    const [rows, width] = [out.shape[0]!, out.size / out.shape[0]!];
    // biome-ignore format: one line for each group of arguments
    this.#library.enqueue(this.#engine, this.#op.scatterAdd!, ids.size, rows, width,
      handleOf(source), handleOf(ids), handleOf(out));
  }

  transpose(x: Tensor, permutation: readonly number[], out: Tensor): void {
    const { shape } = out;
    const from = (fromLast: number): number => {
      const axis = permutation[permutation.length - 1 - fromLast];
      return axis === undefined ? 0 : product(x.shape, axis + 1);
    };
    // biome-ignore format: one line for each group of arguments
    this.#library.enqueue(this.#engine, this.#op.transpose!,
      extent(shape, 3), extent(shape, 2), extent(shape, 1), extent(shape, 0), from(3), from(2), from(1), from(0),
      handleOf(x), handleOf(out));
  }

  slice(x: Tensor, axis: number, start: number, out: Tensor): void {
    const [outer, inner] = [product(x.shape, 0, axis), product(x.shape, axis + 1)];
    // biome-ignore format: one line for each group of arguments
    this.#library.enqueue(this.#engine, this.#op.slice!,
      outer, x.shape[axis]! * inner, start * inner, out.shape[axis]! * inner,
      handleOf(x), handleOf(out));
  }

  place(x: Tensor, axis: number, start: number, out: Tensor, accumulate = false): void {
    const [outer, inner] = [product(out.shape, 0, axis), product(out.shape, axis + 1)];
    // biome-ignore format: one line for each group of arguments
    this.#library.enqueue(this.#engine, this.#op.place!,
      outer, out.shape[axis]! * inner, start * inner, x.shape[axis]! * inner, Number(accumulate),
      handleOf(x), handleOf(out));
  }

  addScaled(x: Tensor, factor: number, out: Tensor): void {
    this.#library.enqueue(this.#engine, this.#op.addScaled!, out.size, factor, handleOf(x), handleOf(out));
  }
}
