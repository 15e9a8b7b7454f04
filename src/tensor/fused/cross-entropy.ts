import { mul, neg, reshape, sum } from '../primitives.ts';
import { empty, fromHost, scope } from '../scope.ts';
import type { Tape } from '../tape.ts';
import type { Tensor } from '../tensor.ts';
import { requireHead, requireTargets, tokenLogProbs } from './token-log-probs.ts';

/**
 * −Σ weights[i] · log softmax(hidden · headᵀ)[targets[i]] → [1], in nats. Rows with target −1 do not count.
 * hidden [rows, H], head [V, H], targets and weights [rows].
 */
export function crossEntropy(hidden: Tensor, head: Tensor, targets: Int32Array, weights: Float32Array): Tensor {
  requireWeights(weights, targets);
  const logProbs = tokenLogProbs(hidden, head, targets);
  return neg(reshape(sum(mul(logProbs, fromHost(hidden.backend, weights))), [1]));
}

/**
 * Cross-entropy as the last step of a recording, with the backward pass; `hidden` must have been recorded on the tape.
 * Returns the loss [1], which the caller owns. Because nothing follows the loss, its gradients are computed in the same
 * pass over the vocabulary, with 6 · rows · H · V flops instead of the 8 of separate forward and backward passes.
 */
export function backwardFromCrossEntropy(
  tape: Tape,
  hidden: Tensor,
  head: Tensor,
  targets: Int32Array,
  weights: Float32Array,
): Tensor {
  const { backend } = hidden;
  const kernels = backend.kernels.crossEntropy;
  if (!kernels) {
    const loss = tape.record(() => crossEntropy(hidden, head, targets, weights));
    tape.backward(loss);
    return loss;
  }
  const [rows, vocabulary] = requireHead('crossEntropy', hidden, head);
  requireTargets('crossEntropy', targets, rows, vocabulary);
  requireWeights(weights, targets);
  const loss = scope(() => empty(backend, [1]), { adopt: false });
  tape.backwardFrom((gradients) => {
    const inputs = { hidden, head, targets: fromHost(backend, targets) };
    const into = { hidden: gradients.targetIfWanted(hidden), head: gradients.targetIfWanted(head) };
    kernels.withGradient(inputs, fromHost(backend, weights), loss, into);
  });
  return loss;
}

function requireWeights(weights: Float32Array, targets: Int32Array): void {
  if (weights.length !== targets.length)
    throw new Error(`crossEntropy: there are ${weights.length} weights for ${targets.length} targets`);
}
