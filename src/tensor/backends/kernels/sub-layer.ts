import type { Tensor } from '../../tensor.ts';
import type { Norm } from './rms-norm.ts';

/**
 * What the gradient of a sub-layer needs of its input x [rows, hidden]: the operand that its first product took, or,
 * where a norm stands in front, x itself and 1/rms [rows], of which that is made again. Operands have `operandSize`
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
