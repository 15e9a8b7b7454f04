import { mul, neg, reshape, sum } from '../primitives.ts';
import { empty, filled, fromHost } from '../scope.ts';
import { isTracked, record } from '../tape.ts';
import type { Tensor } from '../tensor.ts';
import { tokenLogProbs } from './token-log-probs.ts';

/**
 * −Σ weights[i] · log softmax(hidden · headᵀ)[targets[i]] → [1]. Rows with target −1 count nothing.
 * hidden [rows, H], head [V, H], targets and weights [rows]. While a tape records, the kernel computes the gradients in
 * the same pass over the vocabulary (the weights are known, so only the upstream factor is missing).
 */
export function crossEntropy(hidden: Tensor, head: Tensor, targets: Int32Array, weights: Float32Array): Tensor {
  const { backend } = hidden;
  const { fused } = backend;
  if (!fused.crossEntropyWithGradient || !isTracked(hidden) || !isTracked(head)) {
    return crossEntropyComposition(hidden, head, targets, weights);
  }
  const loss = empty(backend, [1]);
  const dHidden = empty(backend, hidden.shape);
  const dHead = filled(backend, head.shape, 0);
  const [targetsTensor, weightsTensor] = [fromHost(backend, targets), fromHost(backend, weights)];
  fused.crossEntropyWithGradient(hidden, head, targetsTensor, weightsTensor, loss, dHidden, dHead);
  return record([hidden, head], loss, [dHidden, dHead], (dLoss, gradients) => {
    gradients.add(hidden, mul(dHidden, dLoss));
    gradients.add(head, mul(dHead, dLoss));
  });
}

export function crossEntropyComposition(
  hidden: Tensor,
  head: Tensor,
  targets: Int32Array,
  weights: Float32Array,
): Tensor {
  const logProbs = tokenLogProbs(hidden, head, targets);
  return neg(reshape(sum(mul(logProbs, fromHost(hidden.backend, weights))), [1]));
}
