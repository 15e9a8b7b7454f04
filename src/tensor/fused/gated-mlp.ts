import { empty } from '../scope.ts';
import { requireFloats, requireMatrix, requireShape } from '../shapes.ts';
import { isTracked, record } from '../tape.ts';
import type { Tensor } from '../tensor.ts';
import { linearComposition } from './linear.ts';
import { swiglu } from './swiglu.ts';

/**
 * The MLP of Llama: down · (silu(gate · x) ∘ (up · x)) (Shazeer 2020, eq. 6).
 * x [rows, hidden], gateUp [2·I, hidden] with gate in the first I rows, down [hidden, I] → [rows, hidden].
 * 6 · rows · hidden · I flops forward, twice that backward; SwiGLU and its gradient are epilogues of the products.
 * Saves x, gate and up in the precision of products.
 */
export function gatedMlp(x: Tensor, gateUp: Tensor, down: Tensor): Tensor {
  const { backend } = x;
  const { fused } = backend;
  requireFloats('gatedMlp', x, gateUp, down);
  const [rows, hidden] = requireMatrix('gatedMlp', 'x', x);
  const [, intermediate] = requireMatrix('gatedMlp', 'down', down);
  requireShape('gatedMlp', 'down', down, [hidden, intermediate]);
  requireShape('gatedMlp', 'gateUp', gateUp, [2 * intermediate, hidden]);
  if (!fused.gatedMlp || !fused.gatedMlpGradient || !fused.operandSize) return gatedMlpComposition(x, gateUp, down);
  const y = empty(backend, [rows, hidden]);
  if (![x, gateUp, down].some(isTracked)) {
    fused.gatedMlp(x, gateUp, down, y);
    return y;
  }
  const saved = {
    x: empty(backend, [fused.operandSize(rows, hidden)], 'operand'),
    gateUp: empty(backend, [2 * fused.operandSize(rows, intermediate)], 'operand'),
  };
  fused.gatedMlp(x, gateUp, down, y, saved);
  return record([x, gateUp, down], y, [saved.x, saved.gateUp, gateUp, down], (dy, gradients) => {
    const [dx, dGateUp, dDown] = [x, gateUp, down].map((input) => gradients.targetIfWanted(input));
    fused.gatedMlpGradient?.(dy, saved, gateUp, down, dx, dGateUp, dDown);
  });
}

export function gatedMlpComposition(x: Tensor, gateUp: Tensor, down: Tensor): Tensor {
  return linearComposition(swiglu(linearComposition(x, gateUp)), down);
}
