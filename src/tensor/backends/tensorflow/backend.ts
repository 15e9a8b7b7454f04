import { requireIds } from '../../shapes.ts';
import type { DType, Shape, Storage, Tensor } from '../../tensor.ts';
import type { Backend, BinaryKind, HostArray, MatmulOptions, ReduceKind, UnaryKind } from '../backend.ts';
import { hostLimits } from '../limits.ts';
import { deviceOf, loadTensorFlow, type TensorFlow, type TfTensor, versionOf } from './library.ts';

/** Holds the current value; undefined before the first write. */
interface TensorFlowStorage extends Storage {
  value: TfTensor | undefined;
}

const bytesPerElement = 4;

/** Creates a backend on TensorFlow. @throws Error with the reason if it is not installed or cannot be loaded */
export async function createTensorFlowBackend(options: { threads?: number } = {}): Promise<TensorFlowBackend> {
  return new TensorFlowBackend(await loadTensorFlow(options.threads));
}

/**
 * The primitives mapped to TensorFlow's operations, through tfjs-node. Tensors of tfjs are immutable, so an operation
 * replaces the value in the storage of its output. On a CPU each operation has finished when its call returns. On a
 * GPU, the last bits of sums over repeated ids may vary from run to run.
 */
export class TensorFlowBackend implements Backend {
  readonly name = 'tensorflow';
  readonly precision = 'f32';
  readonly kernels = {};
  readonly limits = hostLimits({ operandBytes: bytesPerElement, benchmarkSize: 2048 });
  readonly description: string;
  readonly #tf: TensorFlow;
  readonly #live = new Set<TensorFlowStorage>();
  #used = 0;

  constructor(tf: TensorFlow) {
    this.#tf = tf;
    this.description = `${versionOf(tf)} on the ${deviceOf(tf)}, f32 products`;
  }

  allocate(length: number, dtype: DType): Storage {
    const storage: TensorFlowStorage = { length, dtype, value: undefined };
    this.#live.add(storage);
    this.#used += length * bytesPerElement;
    return storage;
  }

  free(storage: Storage): void {
    const known = storage as TensorFlowStorage;
    if (!this.#live.delete(known)) return;
    known.value?.dispose();
    known.value = undefined;
    this.#used -= storage.length * bytesPerElement;
  }

  write(out: Tensor, data: HostArray, offset = 0): void {
    const copied = out.dtype === 'i32' ? new Int32Array(data) : new Float32Array(data);
    const fresh = () => this.#tf.tensor(copied, [copied.length], typeOf(out));
    if (copied.length === out.size) this.#put(out, fresh);
    else this.#put(out, () => this.#spliced(this.#valueOf(out, [out.size]), fresh(), 0, offset));
  }

  read(x: Tensor): Promise<HostArray> {
    const value = (x.storage as TensorFlowStorage).value;
    if (value) return Promise.resolve(value.dataSync().slice());
    return Promise.resolve(x.dtype === 'i32' ? new Int32Array(x.size) : new Float32Array(x.size));
  }

  sync(): Promise<void> {
    return Promise.resolve();
  }

  dispose(): Promise<void> {
    for (const storage of this.#live) this.free(storage);
    return Promise.resolve();
  }

  memory(): { used: number; held: number } {
    return { used: this.#used, held: this.#tf.memory().numBytes };
  }

  fill(out: Tensor, value: number): void {
    this.#put(out, () => this.#tf.fill(out.shape, value, typeOf(out)));
  }

  unary(kind: UnaryKind, x: Tensor, out: Tensor): void {
    // A clone shares the memory of the original, which is safe because tensors are immutable.
    this.#put(out, () => this.#tf[kind === 'copy' ? 'clone' : kind](this.#valueOf(x)));
  }

  binary(kind: BinaryKind, a: Tensor, b: Tensor, out: Tensor): void {
    this.#put(out, () => this.#tf[kind](this.#valueOf(a), this.#valueOf(b)));
  }

  select(condition: Tensor, a: Tensor, b: Tensor, out: Tensor): void {
    this.#put(out, () => {
      const test = this.#tf.notEqual(this.#valueOf(condition), 0);
      return this.#tf.where(test, this.#valueOf(a), this.#valueOf(b));
    });
  }

  reduce(kind: ReduceKind, x: Tensor, out: Tensor, accumulate = false): void {
    const axes = x.shape.flatMap((extent, axis) => (extent !== out.shape[axis] ? [axis] : []));
    this.#put(out, () => {
      const value = this.#valueOf(x);
      const reduced = axes.length === 0 ? this.#tf.clone(value) : this.#tf[kind](value, axes, true);
      return accumulate ? this.#tf.add(this.#valueOf(out), reduced) : reduced;
    });
  }

  matmul(a: Tensor, b: Tensor, out: Tensor, options: MatmulOptions = {}): void {
    const { transposeA = false, transposeB = false, accumulate = false } = options;
    this.#put(out, () => {
      const product = this.#tf.matMul(this.#valueOf(a), this.#valueOf(b), transposeA, transposeB);
      return accumulate ? this.#tf.add(this.#valueOf(out), product) : product;
    });
  }

  gather(table: Tensor, ids: Tensor, out: Tensor): void {
    this.#requireIds('gather', ids, table.shape[0]!);
    this.#put(out, () => this.#tf.gather(this.#valueOf(table), this.#valueOf(ids, [ids.size])));
  }

  scatterAdd(source: Tensor, ids: Tensor, out: Tensor): void {
    const width = source.size / ids.size;
    const rows = out.size / width;
    this.#requireIds('scatterAdd', ids, rows);
    this.#put(out, () => {
      const added = this.#valueOf(source, [ids.size, width]);
      const sums = this.#tf.unsortedSegmentSum(added, this.#valueOf(ids, [ids.size]), rows);
      return this.#tf.add(this.#valueOf(out, [rows, width]), sums);
    });
  }

  transpose(x: Tensor, permutation: readonly number[], out: Tensor): void {
    this.#put(out, () => this.#tf.transpose(this.#valueOf(x), permutation));
  }

  slice(x: Tensor, axis: number, start: number, out: Tensor): void {
    this.#put(out, () => this.#sliced(this.#valueOf(x), axis, start, out.shape[axis]!));
  }

  place(x: Tensor, axis: number, start: number, out: Tensor, accumulate = false): void {
    this.#put(out, () => {
      const [value, whole] = [this.#valueOf(x), this.#valueOf(out)];
      const there = () => this.#sliced(whole, axis, start, x.shape[axis]!);
      return this.#spliced(whole, accumulate ? this.#tf.add(there(), value) : value, axis, start);
    });
  }

  addScaled(x: Tensor, factor: number, out: Tensor): void {
    this.#put(out, () => {
      const value = this.#valueOf(x);
      return this.#tf.add(this.#valueOf(out), factor === 1 ? value : this.#tf.mul(value, factor));
    });
  }

  /**
   * Stores the result of `compute`, broadcast if it is smaller, in the storage of `out`. Disposes of all other tensors
   * that it creates.
   */
  #put(out: Tensor, compute: () => TfTensor): void {
    const storage = out.storage as TensorFlowStorage;
    const fresh = this.#tf.tidy(() => {
      const value = compute();
      const whole = value.size === out.size ? value : this.#tf.broadcastTo(value, out.shape);
      return whole.dtype === typeOf(out) ? whole : this.#tf.cast(whole, typeOf(out));
    });
    storage.value?.dispose();
    storage.value = fresh;
  }

  /** TensorFlow itself ignores negative ids, and on a GPU all ids out of range. */
  #requireIds(operation: string, ids: Tensor, rows: number): void {
    const { value } = ids.storage as TensorFlowStorage;
    if (value) requireIds(operation, value.dataSync(), rows);
  }

  /** The elements of x in a given shape; zeros before the first write. Must be called in an operation's `tidy`. */
  #valueOf(x: Tensor, shape: Shape = x.shape): TfTensor {
    const { value } = x.storage as TensorFlowStorage;
    if (!value) return this.#tf.fill(shape, 0, typeOf(x));
    return `${value.shape}` === `${shape}` ? value : this.#tf.reshape(value, shape);
  }

  #sliced(x: TfTensor, axis: number, start: number, length: number): TfTensor {
    const begin = x.shape.map((_, d) => (d === axis ? start : 0));
    const size = x.shape.map((extent, d) => (d === axis ? length : extent));
    return this.#tf.slice(x, begin, size);
  }

  /** Replaces the elements of `whole` from `start` along an axis with `part`. */
  #spliced(whole: TfTensor, part: TfTensor, axis: number, start: number): TfTensor {
    const [end, extent] = [start + part.shape[axis]!, whole.shape[axis]!];
    const pieces = [part];
    if (start > 0) pieces.unshift(this.#sliced(whole, axis, 0, start));
    if (end < extent) pieces.push(this.#sliced(whole, axis, end, extent - end));
    return this.#tf.concat(pieces, axis);
  }
}

function typeOf({ dtype }: Tensor): 'float32' | 'int32' {
  return dtype === 'i32' ? 'int32' : 'float32';
}
