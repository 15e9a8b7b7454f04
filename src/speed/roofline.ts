import { RandomStream } from '../random.ts';
import type { Backend } from '../tensor/backends/backend.ts';
import { linear } from '../tensor/fused/linear.ts';
import { empty, filled, fromHost, scope } from '../tensor/scope.ts';

/** What a machine can do at most, measured (Williams, Waterman and Patterson 2009). */
export interface Roofline {
  /** Of a matrix product in the backend's precision, in 10⁹ operations a second. */
  gemmGflops: number;
  /** Rows and columns of that product. */
  gemmSize: number;
  /** Of reading two arrays and writing one that are far larger than any cache, in 10⁹ bytes a second. */
  gigabytesPerSecond: number;
}

export async function measureRoofline(backend: Backend): Promise<Roofline> {
  const gemmSize = backend.limits.benchmarkSize;
  // Two arrays of 128 MB where products are of 2048³: far larger than any cache.
  const length = 8 * gemmSize ** 2;
  return {
    gemmGflops: await gemmGflops(backend, gemmSize),
    gemmSize,
    gigabytesPerSecond: await gigabytesPerSecond(backend, length),
  };
}

/** 10⁹ operations a second of x · wᵀ, all three [size, size]; the fastest of several. */
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
 * Microseconds from asking for an operation to having asked, and to its end, for operations that compute next to
 * nothing.
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
 * Seconds of the fastest of `rounds` runs of what `enqueue` asks for, after one that is not counted. What `prepare`
 * asks for before each is done when its time begins.
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
