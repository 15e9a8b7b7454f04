import type { Tensor } from '../../tensor.ts';
import type { GradientTarget } from './gradient.ts';

export interface LinearKernels {
  /** x [rows, in] · w [out, in]ᵀ → y [rows, out]. */
  forward(x: Tensor, w: Tensor, y: Tensor): void;
  /** dx [rows, in] = dy [rows, out] · w [out, in]. */
  inputGradient(dy: Tensor, w: Tensor, dx: GradientTarget): void;
  /** dw [out, in] = dy [rows, out]ᵀ · x [rows, in]. */
  weightGradient(dy: Tensor, x: Tensor, dw: GradientTarget): void;
}
