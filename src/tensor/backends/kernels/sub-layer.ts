import type { Tensor } from '../../tensor.ts';
import type { Norm } from './rms-norm.ts';

/**
 * What the gradient of a sub-layer needs from its input x [rows, hidden]: the operand of its first product or, if there
 * is a norm before it, x itself and 1/rms [rows], from which the operand is recomputed. Operands have `operandSize`
 * words, which only kernels read.
 */
export type SavedInput =
  | { operand: Tensor; normed?: undefined }
  | { operand?: undefined; normed: { x: Tensor; norm: Norm; inverseRms: Tensor } };

/** Kernels that save operands of matrix products for their gradients. */
export interface SubLayerKernels {
  /** 32-bit words that a matrix [rows, columns] takes as an operand of matrix products. */
  operandSize(rows: number, columns: number): number;
}
