import { mul, sigmoid, slice } from '../primitives.ts';
import { requireMatrix } from '../shapes.ts';
import type { Tensor } from '../tensor.ts';

/**
 * silu(gate) · up, with silu(z) = z · σ(z) (Shazeer 2020, eq. 6).
 * gateUp [rows, 2·I] with gate in the first I columns → [rows, I].
 */
export function swiglu(gateUp: Tensor): Tensor {
  const [, columns] = requireMatrix('swiglu', 'gateUp', gateUp);
  if (columns % 2 !== 0) throw new Error(`swiglu: gateUp is [${gateUp.shape}], an even number of columns is needed`);
  const size = columns / 2;
  const gate = slice(gateUp, 1, 0, size);
  const up = slice(gateUp, 1, size, size);
  return mul(mul(gate, sigmoid(gate)), up);
}
