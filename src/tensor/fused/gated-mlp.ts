import { empty } from '../scope.ts';
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
  if (!fused.gatedMlp || !fused.gatedMlpGradient || !fused.operandWidth) return gatedMlpComposition(x, gateUp, down);
  const [rows, hidden] = x.shape as [number, number];
  const intermediate = down.shape[1]!;
  if (`${gateUp.shape}` !== `${[2 * intermediate, hidden]}` || down.shape[0] !== hidden)
    throw new Error(`gatedMlp: x [${x.shape}], gateUp [${gateUp.shape}] and down [${down.shape}] do not fit`);
  const y = empty(backend, [rows, hidden]);
  if (![x, gateUp, down].some(isTracked)) {
    fused.gatedMlp(x, gateUp, down, y);
    return y;
  }
  const saved = {
    x: empty(backend, [rows, fused.operandWidth(hidden)], 'operand'),
    gateUp: empty(backend, [rows, 2 * fused.operandWidth(intermediate)], 'operand'),
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
