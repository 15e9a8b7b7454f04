import type { Backend } from '../backends/backend.ts';
import type { Rotary } from '../backends/kernels/self-attention.ts';
import { add, concat, div, exp, max, mul, reshape, slice, stopGradient, sub, sum } from '../primitives.ts';
import { filled, fromHost } from '../scope.ts';
import type { Tensor } from '../tensor.ts';

/** factor · cos and factor · sin of position · frequencies[j], each [rows, 1, headDim / 2]. */
export interface RotaryTables {
  cos: Tensor;
  sin: Tensor;
}

export function rotaryTables(backend: Backend, positions: Int32Array, { frequencies, factor }: Rotary): RotaryTables {
  const half = frequencies.length;
  const angles = Float64Array.from(
    { length: positions.length * half },
    (_, i) => positions[Math.floor(i / half)]! * frequencies[i % half]!,
  );
  const extent = [positions.length, 1, half];
  const table = (of: (angle: number) => number): Tensor =>
    fromHost(
      backend,
      angles.map((angle) => factor * of(angle)),
      extent,
    );
  return { cos: table(Math.cos), sin: table(Math.sin) };
}

/** Rotates the pairs (j, j + headDim/2) of x [rows, heads, headDim] (Su et al. 2021, half-rotation convention). */
export function applyRotary(x: Tensor, { cos, sin }: RotaryTables): Tensor {
  const half = x.shape[2]! / 2;
  const first = slice(x, 2, 0, half);
  const second = slice(x, 2, half, half);
  return concat([sub(mul(first, cos), mul(second, sin)), add(mul(second, cos), mul(first, sin))], 2);
}

/** Repeats each head of x [kvHeads, n, d] for the heads / kvHeads query heads that share it → [heads, n, d]. */
export function repeatHeads(x: Tensor, heads: number): Tensor {
  const [kvHeads, n, d] = x.shape as [number, number, number];
  if (kvHeads === heads) return x;
  const spread = filled(x.backend, [kvHeads, heads / kvHeads, n, d], 0);
  return reshape(add(reshape(x, [kvHeads, 1, n, d]), spread), [heads, n, d]);
}

/** Softmax over the last axis of a rank-3 tensor. */
export function softmax(x: Tensor): Tensor {
  const exponentials = exp(sub(x, stopGradient(max(x, [2]))));
  return div(exponentials, sum(exponentials, [2]));
}
