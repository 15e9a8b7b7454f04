import { createRequire } from 'node:module';
import util from 'node:util';

const require = createRequire(import.meta.url);

/** A tensor of tfjs: dense and immutable; it must be disposed of. */
export interface TfTensor {
  readonly shape: number[];
  readonly size: number;
  readonly dtype: string;
  dataSync(): Float32Array | Int32Array;
  dispose(): void;
}

type TfDType = 'float32' | 'int32';
type TfOperand = TfTensor | number;

/** The part of `@tensorflow/tfjs-node` that is used here, so that the package is not needed to compile. */
export interface TensorFlow {
  readonly version: Readonly<Record<string, string>>;
  backend(): { isUsingGpuDevice: boolean; binding: { TF_Version: string } };
  memory(): { numTensors: number; numBytes: number };
  /** Disposes of every tensor created in `body` except the one returned. */
  tidy(body: () => TfTensor): TfTensor;

  tensor(data: Float32Array | Int32Array, shape: readonly number[], dtype: TfDType): TfTensor;
  fill(shape: readonly number[], value: number, dtype: TfDType): TfTensor;
  clone(x: TfTensor): TfTensor;
  cast(x: TfTensor, dtype: TfDType): TfTensor;
  reshape(x: TfTensor, shape: readonly number[]): TfTensor;
  broadcastTo(x: TfTensor, shape: readonly number[]): TfTensor;

  neg(x: TfTensor): TfTensor;
  exp(x: TfTensor): TfTensor;
  log(x: TfTensor): TfTensor;
  sigmoid(x: TfTensor): TfTensor;
  rsqrt(x: TfTensor): TfTensor;
  add(a: TfTensor, b: TfOperand): TfTensor;
  sub(a: TfTensor, b: TfOperand): TfTensor;
  mul(a: TfTensor, b: TfOperand): TfTensor;
  div(a: TfTensor, b: TfOperand): TfTensor;
  maximum(a: TfTensor, b: TfOperand): TfTensor;
  greater(a: TfTensor, b: TfOperand): TfTensor;
  notEqual(a: TfTensor, b: TfOperand): TfTensor;
  where(condition: TfTensor, a: TfTensor, b: TfTensor): TfTensor;
  sum(x: TfTensor, axes: readonly number[], keepDimensions: boolean): TfTensor;
  max(x: TfTensor, axes: readonly number[], keepDimensions: boolean): TfTensor;
  matMul(a: TfTensor, b: TfTensor, transposeA: boolean, transposeB: boolean): TfTensor;
  gather(table: TfTensor, ids: TfTensor): TfTensor;
  unsortedSegmentSum(source: TfTensor, ids: TfTensor, segments: number): TfTensor;
  transpose(x: TfTensor, permutation: readonly number[]): TfTensor;
  slice(x: TfTensor, begin: readonly number[], size: readonly number[]): TfTensor;
  concat(parts: readonly TfTensor[], axis: number): TfTensor;
}

export interface TensorFlowAvailability {
  available: boolean;
  /** Why it is not available, in one sentence. */
  reason?: string;
  /** Such as "TensorFlow 2.21.0 under tfjs-node 4.22.0". */
  version?: string;
  device?: 'CPU' | 'GPU';
}

const packages = ['@tensorflow/tfjs-node-gpu', '@tensorflow/tfjs-node'];

let loading: Promise<TensorFlow> | undefined;

/**
 * Loads TensorFlow from whichever of its two packages is installed. A process loads it only once, so `threads` only has
 * an effect in the first call.
 * @throws Error with the reason if it cannot be loaded
 */
export function loadTensorFlow(threads?: number): Promise<TensorFlow> {
  loading ??= load(threads);
  return loading;
}

/** Whether TensorFlow can be used here, and its version and device. Never throws. */
export async function tensorflowAvailability(): Promise<TensorFlowAvailability> {
  try {
    const tf = await loadTensorFlow();
    return { available: true, version: versionOf(tf), device: deviceOf(tf) };
  } catch (error) {
    return { available: false, reason: (error as Error).message };
  }
}

export function versionOf(tf: TensorFlow): string {
  return `TensorFlow ${tf.backend().binding.TF_Version} under tfjs-node ${tf.version['tfjs-node']}`;
}

export function deviceOf(tf: TensorFlow): 'CPU' | 'GPU' {
  return tf.backend().isUsingGpuDevice ? 'GPU' : 'CPU';
}

async function load(threads: number | undefined): Promise<TensorFlow> {
  prepareProcess(threads);
  const failures: string[] = [];
  for (const name of packages) {
    try {
      return require(name) as TensorFlow;
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      const missing = code === 'MODULE_NOT_FOUND' && message.includes(`'${name}'`);
      if (!missing) failures.push(`${name} cannot be loaded: ${message.split('\n')[0]!.trim()}`);
    }
  }
  throw new Error(failures.join('; ') || `${packages.at(-1)} is not installed`);
}

/** TensorFlow reads its settings from the environment when it is loaded; variables set by the user are not changed. */
function prepareProcess(threads: number | undefined): void {
  const { env } = process;
  if (threads !== undefined) env.TF_NUM_INTRAOP_THREADS ??= `${threads}`;
  env.TF_CPP_MIN_LOG_LEVEL ??= '2'; // otherwise it prints warnings about the processor
  env.NVIDIA_TF32_OVERRIDE ??= '0'; // products on a GPU in float32, not in TF32 with 10 bits
  // tfjs-node 4.22 calls these for every operation; Node 23 has removed them.
  const removed = {
    isArray: Array.isArray,
    isNullOrUndefined: (value: unknown) => value === null || value === undefined,
  };
  for (const [name, predicate] of Object.entries(removed)) {
    if (!(name in util)) Object.assign(util, { [name]: predicate });
  }
}
