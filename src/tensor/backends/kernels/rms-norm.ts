import type { Tensor } from '../../tensor.ts';
import type { Gradients } from './gradient.ts';

/** An RMSNorm: x / √(mean(x²) + eps) · weight [hidden]. */
export interface Norm {
  weight: Tensor;
  eps: number;
}

/** What the gradient of an RMSNorm needs: its input [rows, hidden], its weight [hidden], and 1/rms [rows]. */
export interface SavedNorm {
  x: Tensor;
  weight: Tensor;
  inverseRms: Tensor;
}

export interface RmsNormKernels {
  /** y = x · inverseRms · weight for x [rows, hidden]; inverseRms [rows] = 1 / √(mean(x²) + eps). */
  forward(x: Tensor, norm: Norm, y: Tensor, inverseRms: Tensor): void;
  gradient(dy: Tensor, saved: SavedNorm, into: Gradients<'x' | 'weight'>): void;
}
