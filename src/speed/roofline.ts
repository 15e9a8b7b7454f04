import { RandomStream } from '../random.ts';
import type { Backend } from '../tensor/backends/backend.ts';
import { linear } from '../tensor/fused/linear.ts';
import { empty, filled, fromHost, scope } from '../tensor/scope.ts';

/** The measured limits of a machine (Williams, Waterman and Patterson 2009). */
export interface Roofline {
  /** Speed of a matrix product in the backend's precision, in 10⁹ operations per second. */
  gemmGflops: number;
  /** Rows and columns of that product. */
  gemmSize: number;
  /** Bandwidth of reading two arrays and writing one, each far larger than any cache, in 10⁹ bytes per second. */
  gigabytesPerSecond: number;
}

export async function measureRoofline(backend: Backend): Promise<Roofline> {
  const gemmSize = backend.limits.benchmarkSize;
  // With products of 2048³, two arrays of 128 MB: far larger than any cache.
  const length = 8 * gemmSize ** 2;
  return {
    gemmGflops: await gemmGflops(backend, gemmSize),
    gemmSize,
    gigabytesPerSecond: await gigabytesPerSecond(backend, length),
  };
}

/** Speed of x · wᵀ, all three [size, size], in 10⁹ operations per second: the fastest of several runs. */
export async function gemmGflops(backend: Backend, size: number): Promise<number> {
  const random = new RandomStream(1, 'gemm');
  const draw = () => Float32Array.from({ length: size * size }, () => random.normal());
  const [x, w] = [fromHost(backend, draw(), [size, size]), fromHost(backend, draw(), [size, size])];
  const seconds = await fastest(backend, 10, () => scope(() => void linear(x, w)));
  for (const tensor of [x, w]) tensor.release();
  return (2 * size ** 3) / seconds / 1e9;
}

async function gigabytesPerSecond(backend: Backend, length: number): Promise<number> {
  const [x, out] = [filled(backend, [length], 1), filled(backend, [length], 1)];
  const seconds = await fastest(backend, 5, () => backend.addScaled(x, 1e-3, out));
  for (const tensor of [x, out]) tensor.release();
  return (3 * 4 * length) / seconds / 1e9;
}

/**
 * Overhead of an operation that computes almost nothing, in microseconds: `ask` to enqueue it, `run` until it has
 * finished.
 */
export async function dispatchMicroseconds(backend: Backend, count = 20_000): Promise<{ ask: number; run: number }> {
  const x = empty(backend, [1]);
  let [ask, run] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  for (let round = 0; round < 3; round++) {
    await backend.sync();
    const begun = performance.now();
    for (let i = 0; i < count; i++) backend.fill(x, i);
    ask = Math.min(ask, ((performance.now() - begun) * 1000) / count);
    await backend.sync();
    run = Math.min(run, ((performance.now() - begun) * 1000) / count);
  }
  x.release();
  return { ask, run };
}

/**
 * Seconds taken by the operations that `enqueue` enqueues: the fastest of `rounds` runs, after a warm-up run. What
 * `prepare` enqueues before each run has finished when the clock starts.
 */
export async function fastest<T = void>(
  backend: Backend,
  rounds: number,
  enqueue: (prepared: T) => void,
  prepare: () => T = () => undefined as T,
): Promise<number> {
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round <= rounds; round++) {
    const prepared = prepare();
    await backend.sync();
    const begun = performance.now();
    enqueue(prepared);
    await backend.sync();
    if (round > 0) best = Math.min(best, (performance.now() - begun) / 1000);
  }
  return best;
}
