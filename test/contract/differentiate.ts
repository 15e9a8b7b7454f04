import { RandomStream } from '../../src/random.ts';
import type { Backend } from '../../src/tensor/backends/backend.ts';
import { mul, sum } from '../../src/tensor/primitives.ts';
import { filled, fromHost, scope } from '../../src/tensor/scope.ts';
import { Tape } from '../../src/tensor/tape.ts';
import { sizeOf, type Tensor } from '../../src/tensor/tensor.ts';
import type { Case } from './cases.ts';

export interface Differentiated {
  output: Float64Array;
  /** For each input d(Σ output · weight)/d(input), with fixed random weights. */
  gradients: Float64Array[];
}

/** Inputs that are the same for every backend: drawn from a stream named after the case, exact in float32. */
export function drawInputs({ name, inputs, positive }: Case): Float32Array[] {
  const random = new RandomStream(7, name);
  const draw = () => (positive ? 0.5 + 2 * random.uniform() : random.normal());
  return inputs.map((shape) => Float32Array.from({ length: sizeOf(shape) }, draw));
}

export async function differentiate(
  backend: Backend,
  which: Case,
  values: readonly ArrayLike<number>[],
): Promise<Differentiated> {
  const leaves = values.map((data, i) => fromHost(backend, Float64Array.from(data), which.inputs[i]!));
  const sums = leaves.map((leaf) => filled(backend, leaf.shape, 0));
  const tape = new Tape(new Map(leaves.map((leaf, i) => [leaf, sums[i]!])));
  const [output, objective] = tape.record(() => {
    const result = which.run(leaves, backend);
    return [result, sum(mul(result, fromHost(backend, weightsFor(result), result.shape)))] as [Tensor, Tensor];
  });
  tape.backward(objective);
  const result = {
    output: Float64Array.from(await backend.read(output)),
    gradients: await Promise.all(sums.map(async (gradient) => Float64Array.from(await backend.read(gradient)))),
  };
  for (const tensor of [...leaves, ...sums, output, objective]) tensor.release();
  return result;
}

function weightsFor({ size }: Tensor): Float32Array {
  const random = new RandomStream(8, 'weights');
  return Float32Array.from({ length: size }, () => random.normal());
}

/** Σ output · weight: the objective whose gradients `differentiate` computes. */
export async function objective(backend: Backend, which: Case, values: readonly Float64Array[]): Promise<number> {
  const total = scope(
    () => {
      const leaves = values.map((data, i) => fromHost(backend, data, which.inputs[i]!));
      const result = which.run(leaves, backend);
      return sum(mul(result, fromHost(backend, weightsFor(result), result.shape)));
    },
    { adopt: false },
  );
  const value = (await backend.read(total))[0]!;
  total.release();
  return value;
}

/** Largest |a − b| relative to the largest |b|; infinite if any element of either is NaN. */
export function relativeDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let difference = 0;
  let scale = 1e-3;
  for (let i = 0; i < b.length; i++) {
    difference = Math.max(difference, Math.abs(a[i]! - b[i]!));
    scale = Math.max(scale, Math.abs(b[i]!));
  }
  return a.length === b.length && Number.isFinite(difference) ? difference / scale : Number.POSITIVE_INFINITY;
}
