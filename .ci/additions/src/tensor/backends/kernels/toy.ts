import type { Tensor } from '../../tensor.ts';
import type { GradientTarget } from './gradient.ts';

export interface ToyKernels {
  /** y = log(1 + eˣ) */
  forward(x: Tensor, y: Tensor): void;
  /** dx = dy · σ(x) */
  gradient(dy: Tensor, x: Tensor, dx: GradientTarget): void;
}
