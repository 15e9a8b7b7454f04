import type { Norm } from '../backends/kernels/rms-norm.ts';
import { empty } from '../scope.ts';
import { requireFloats, requireMatrix, requireShape } from '../shapes.ts';
import { isTracked, record } from '../tape.ts';
import type { Tensor } from '../tensor.ts';
import { linear } from './linear.ts';
import { normed, requireInput, savedInput, tensorsOf } from './sub-layer.ts';
import { swiglu } from './swiglu.ts';

/**
 * The MLP of Llama: down · (silu(gate · n) ∘ (up · n)) (Shazeer 2020, eq. 6) with n = norm(x), or n = x without a norm.
 * x [rows, hidden], gateUp [2·I, hidden] with gate in the first I rows, down [hidden, I] → [rows, hidden].
 * Takes 6 · rows · hidden · I flops forward and twice that backward; SwiGLU and its gradient are epilogues of the
 * products. Saves gate and up in the precision of products and, without a norm, x likewise; with a norm it keeps x
 * itself and 1/rms [rows].
 */
export function gatedMlp(x: Tensor, gateUp: Tensor, down: Tensor, norm?: Norm): Tensor {
  const { backend } = x;
  const kernels = backend.kernels.gatedMlp;
  requireFloats('gatedMlp', x, gateUp, down);
  const [rows, hidden] = requireInput('gatedMlp', x, norm);
  const [, intermediate] = requireMatrix('gatedMlp', 'down', down);
  requireShape('gatedMlp', 'down', down, [hidden, intermediate]);
  requireShape('gatedMlp', 'gateUp', gateUp, [2 * intermediate, hidden]);
  if (!kernels) return gatedMlpComposition(x, gateUp, down, norm);
  const weights = { gateUp, down };
  const y = empty(backend, [rows, hidden]);
  const inputs = [x, gateUp, down, ...(norm ? [norm.weight] : [])];
  if (!inputs.some(isTracked)) {
    kernels.forward(x, norm, weights, y);
    return y;
  }
  const saved = {
    input: savedInput(kernels, x, norm),
    gateUp: empty(backend, [2 * kernels.operandSize(rows, intermediate)], 'operand'),
  };
  kernels.forward(x, norm, weights, y, saved);
  return record(inputs, y, [...tensorsOf(saved.input), saved.gateUp, gateUp, down], (dy, gradients) => {
    kernels.gradient(dy, weights, saved, {
      x: gradients.targetIfWanted(x, dy),
      norm: norm && gradients.targetIfWanted(norm.weight),
      gateUp: gradients.targetIfWanted(gateUp),
      down: gradients.targetIfWanted(down),
    });
  });
}

export function gatedMlpComposition(x: Tensor, gateUp: Tensor, down: Tensor, norm?: Norm): Tensor {
  return linear(swiglu(linear(normed(x, norm), gateUp)), down);
}
