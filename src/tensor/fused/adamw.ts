import type { AdamWStep } from '../backends/kernels/adamw.ts';
import { add, div, maximum, mul, rsqrt, square, sub, sum } from '../primitives.ts';
import { scope } from '../scope.ts';
import { requireShape } from '../shapes.ts';
import type { Tensor } from '../tensor.ts';

/** Adds Σ x² to `sumOfSquares` [1]. */
export function addSquaredNorm(x: Tensor, sumOfSquares: Tensor): void {
  const kernels = x.backend.kernels.adamW;
  requireShape('addSquaredNorm', 'sumOfSquares', sumOfSquares, [1]);
  if (kernels) kernels.addSquaredNorm(x, sumOfSquares);
  else addSquaredNormComposition(x, sumOfSquares);
}

export function addSquaredNormComposition(x: Tensor, sumOfSquares: Tensor): void {
  scope(() => {
    const total = sum(square(x));
    const flat = total.view(sumOfSquares.shape);
    x.backend.addScaled(flat, 1, sumOfSquares);
    flat.release();
  });
}

/**
 * An AdamW update in place (Loshchilov & Hutter 2019, algorithm 2), with the gradient scaled by
 * min(1, maxNorm / √sumOfSquares). The global norm stays on the backend, so clipping does not have to wait for it.
 */
export function adamW(
  parameter: Tensor,
  gradient: Tensor,
  firstMoment: Tensor,
  secondMoment: Tensor,
  sumOfSquares: Tensor,
  step: AdamWStep,
): void {
  const kernels = parameter.backend.kernels.adamW;
  requireShape('adamW', 'the gradient', gradient, parameter.shape);
  requireShape('adamW', 'the first moment', firstMoment, parameter.shape);
  requireShape('adamW', 'the second moment', secondMoment, parameter.shape);
  requireShape('adamW', 'sumOfSquares', sumOfSquares, [1]);
  if (kernels) kernels.update({ parameter, gradient, firstMoment, secondMoment, sumOfSquares }, step);
  else adamWComposition(parameter, gradient, firstMoment, secondMoment, sumOfSquares, step);
}

export function adamWComposition(
  parameter: Tensor,
  gradient: Tensor,
  firstMoment: Tensor,
  secondMoment: Tensor,
  sumOfSquares: Tensor,
  { learningRate, beta1, beta2, epsilon, weightDecay, step, maxNorm }: AdamWStep,
): void {
  const tiny = 2 ** -126; // the smallest normal float32; TensorFlow treats smaller numbers as 0
  scope(() => {
    const { backend } = parameter;
    const clipFactor = mul(rsqrt(maximum(sumOfSquares, maxNorm * maxNorm)), maxNorm);
    const g = maxNorm > 0 ? mul(gradient, clipFactor) : gradient;
    const m = add(mul(firstMoment, beta1), mul(g, 1 - beta1));
    const v = add(mul(secondMoment, beta2), mul(square(g), 1 - beta2));
    const vHat = div(v, 1 - beta2 ** step);
    const root = mul(vHat, rsqrt(maximum(vHat, tiny)));
    const direction = div(div(m, 1 - beta1 ** step), add(root, epsilon));
    const decayed = mul(parameter, 1 - learningRate * weightDecay);
    backend.unary('copy', sub(decayed, mul(direction, learningRate)), parameter);
    backend.unary('copy', m, firstMoment);
    backend.unary('copy', v, secondMoment);
  });
}
