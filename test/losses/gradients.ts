import { expect } from 'vitest';
import { PortableBackend } from '../../src/tensor/backends/portable.ts';
import { sum } from '../../src/tensor/primitives.ts';
import { filled, fromHost, scope } from '../../src/tensor/scope.ts';
import { Tape } from '../../src/tensor/tape.ts';
import type { Shape, Tensor } from '../../src/tensor/tensor.ts';

export const backend = new PortableBackend('f64');

export const tensor = (values: readonly number[], shape: Shape = [values.length]): Tensor =>
  fromHost(backend, Float64Array.from(values), shape);

/** The elements of the tensor that `compute` returns. */
export async function valuesOf(compute: () => Tensor): Promise<number[]> {
  const result = scope(compute, { adopt: false });
  const values = await backend.read(result);
  result.release();
  return Array.from(values);
}

/** Holds d(Σ loss)/d(input) of every input to central differences in float64; returns the gradients. */
export async function expectGradients(
  inputs: readonly (readonly number[])[],
  loss: (...inputs: Tensor[]) => Tensor,
  shape?: Shape,
): Promise<number[][]> {
  const leaves = inputs.map((values) => tensor(values, shape));
  const sums = leaves.map((leaf) => filled(backend, leaf.shape, 0));
  const tape = new Tape(new Map(leaves.map((leaf, i) => [leaf, sums[i]!])));
  tape.backward(tape.record(() => sum(loss(...leaves))));
  const gradients = await Promise.all(sums.map(async (gradient) => Array.from(await backend.read(gradient))));

  const step = 1e-6;
  for (const [i, values] of inputs.entries()) {
    for (const k of values.keys()) {
      const at = async (shift: number): Promise<number> => {
        const shifted = inputs.map((input, j) => input.map((x, l) => (i === j && k === l ? x + shift : x)));
        return (await valuesOf(() => sum(loss(...shifted.map((input) => tensor(input, shape))))))[0]!;
      };
      const slope = ((await at(step)) - (await at(-step))) / (2 * step);
      const scale = Math.max(1, Math.abs(slope));
      expect(Math.abs(gradients[i]![k]! - slope) / scale, `input ${i}, element ${k}`).toBeLessThan(1e-8);
    }
  }
  return gradients;
}

export function expectClose(actual: ArrayLike<number>, expected: readonly number[], tolerance: number): void {
  expect(actual.length).toBe(expected.length);
  for (const [i, value] of expected.entries()) {
    expect(Math.abs(actual[i]! - value), `element ${i}: ${actual[i]} instead of ${value}`).toBeLessThan(tolerance);
  }
}
