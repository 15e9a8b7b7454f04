import { mul, sigmoid, slice } from '../primitives.ts';
import { empty } from '../scope.ts';
import { record } from '../tape.ts';
import type { Tensor } from '../tensor.ts';

/**
 * silu(gate) · up, silu(z) = z · σ(z) (Shazeer 2020, eq. 6).
 * gateUp [rows, 2·I], gate in the first I columns → [rows, I]. Bytes: 2 reads + 1 write of [rows, I] forward.
 */
export function swiglu(gateUp: Tensor): Tensor {
  const { fused } = gateUp.backend;
  if (!fused.swiglu || !fused.swigluGradient) return swigluComposition(gateUp);
  const y = empty(gateUp.backend, [gateUp.shape[0]!, gateUp.shape[1]! / 2]);
  fused.swiglu(gateUp, y);
  return record([gateUp], y, [gateUp], (dy, gradients) => {
    const dGateUp = empty(gateUp.backend, gateUp.shape);
    fused.swigluGradient?.(dy, gateUp, dGateUp);
    gradients.add(gateUp, dGateUp);
  });
}

export function swigluComposition(gateUp: Tensor): Tensor {
  const size = gateUp.shape[1]! / 2;
  const gate = slice(gateUp, 1, 0, size);
  const up = slice(gateUp, 1, size, size);
  return mul(mul(gate, sigmoid(gate)), up);
}
