import type { Norm } from '../backends/kernels/rms-norm.ts';
import type { SavedInput, SubLayerKernels } from '../backends/kernels/sub-layer.ts';
import { empty } from '../scope.ts';
import { requireFloats, requireMatrix, requireShape } from '../shapes.ts';
import type { Tensor } from '../tensor.ts';
import { rmsNorm } from './rms-norm.ts';

/** The input of a sub-layer: x [rows, hidden], normalised if there is a norm. */
export function normed(x: Tensor, norm: Norm | undefined): Tensor {
  return norm ? rmsNorm(x, norm.weight, norm.eps) : x;
}

/** Returns the shape of x. @throws Error unless x is a matrix and the norm's weight is as wide */
export function requireInput(operation: string, x: Tensor, norm: Norm | undefined): [rows: number, hidden: number] {
  const [rows, hidden] = requireMatrix(operation, 'x', x);
  if (norm) {
    requireFloats(operation, norm.weight);
    requireShape(operation, 'the weight of the norm', norm.weight, [hidden]);
  }
  return [rows, hidden];
}

/** Allocates what the gradient kernel of a sub-layer needs from the input. */
export function savedInput(kernels: SubLayerKernels, x: Tensor, norm: Norm | undefined): SavedInput {
  const { backend, shape } = x;
  const [rows, hidden] = shape as [number, number];
  if (norm) return { normed: { x, norm, inverseRms: empty(backend, [rows]) } };
  return { operand: empty(backend, [kernels.operandSize(rows, hidden)], 'operand') };
}

/** The tensors of a saved input, for the tape to keep. */
export function tensorsOf({ operand, normed }: SavedInput): Tensor[] {
  return normed ? [normed.x, normed.norm.weight, normed.inverseRms] : [operand];
}
