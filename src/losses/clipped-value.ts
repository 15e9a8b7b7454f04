import { add, maximum, mul, square, sub } from '../tensor/primitives.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { clip } from './clip.ts';

/**
 * Value loss of each token, ½ · max((v − R)², (clip(v, v_old ± ε) − R)²): the clipping of OpenAI's baselines, as in TRL
 * and lm-human-preferences. All arguments and the result are [tokens]; only `values` gets a gradient. ε = Infinity is
 * the plain squared error.
 */
export function clippedValueLoss(values: Tensor, oldValues: Tensor, returns: Tensor, epsilon: number): Tensor {
  const error = square(sub(values, returns));
  if (epsilon === Number.POSITIVE_INFINITY) return mul(error, 0.5);
  const clipped = clip(values, sub(oldValues, epsilon), add(oldValues, epsilon));
  return mul(maximum(square(sub(clipped, returns)), error), 0.5);
}

/** 1 − Var(R − v) / Var(R): 1 is perfect, 0 is no better than a constant. Not finite if all returns are equal. */
export function explainedVariance(values: ArrayLike<number>, returns: ArrayLike<number>): number {
  const errors = Array.from(returns, (value, i) => value - values[i]!);
  return 1 - spread(errors) / spread(Array.from(returns));
}

function spread(x: readonly number[]): number {
  const mean = x.reduce((a, b) => a + b, 0) / x.length;
  return x.reduce((total, value) => total + (value - mean) ** 2, 0);
}
