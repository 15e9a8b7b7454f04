import { mul, neg, reshape, sum } from '../primitives.ts';
import { empty, fromHost, scope } from '../scope.ts';
import type { Tape } from '../tape.ts';
import type { Tensor } from '../tensor.ts';
import { requireHead, requireTargets, tokenLogProbs } from './token-log-probs.ts';

/**
 * −Σ weights[i] · log softmax(hidden · headᵀ)[targets[i]] → [1]. Rows with target −1 count nothing.
 * hidden [rows, H], head [V, H], targets and weights [rows].
 */
export function crossEntropy(hidden: Tensor, head: Tensor, targets: Int32Array, weights: Float32Array): Tensor {
  requireWeights(weights, targets);
  const logProbs = tokenLogProbs(hidden, head, targets);
  return neg(reshape(sum(mul(logProbs, fromHost(hidden.backend, weights))), [1]));
}

/**
 * Cross-entropy as the last step of a recording, with its backward pass: `hidden` was recorded on the tape. Returns the
 * loss [1], which the caller owns. Nothing follows the loss, so its gradients are computed in the same pass over the
 * vocabulary: 6 · rows · H · V flops, where loss and backward pass by themselves would need 8.
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
    throw new Error(`crossEntropy: there are ${weights.length} weights of ${targets.length} targets`);
}
