import { maximum, neg, type Operand } from '../tensor/primitives.ts';
import type { Tensor } from '../tensor/tensor.ts';

/** min(max(x, low), high), elementwise. Clipped elements get no gradient. */
export function clip(x: Tensor, low: Operand, high: Operand): Tensor {
  return neg(maximum(neg(maximum(x, low)), typeof high === 'number' ? -high : neg(high)));
}
