import { add, exp, gather, log, max, mul, reshape, stopGradient, sub, sum } from '../primitives.ts';
import { empty, fromHost } from '../scope.ts';
import { requireFloats, requireInt32, requireMatrix, requireShape } from '../shapes.ts';
import { record } from '../tape.ts';
import type { Tensor } from '../tensor.ts';
import { linear } from './linear.ts';

/**
 * log softmax(hidden · headᵀ)[target] of each row, in nats; 0 if the target is −1.
 * hidden [rows, H], head [V, H], targets [rows] → [rows]. Saves the log-sum-exp [rows]; kernels never hold [rows, V].
 */
export function tokenLogProbs(hidden: Tensor, head: Tensor, targets: Int32Array): Tensor {
  const { backend } = hidden;
  const kernels = backend.kernels.tokenLogProbs;
  const [rows, vocabulary] = requireHead('tokenLogProbs', hidden, head);
  requireTargets('tokenLogProbs', targets, rows, vocabulary);
  if (!kernels) return tokenLogProbsComposition(hidden, head, targets);
  const inputs = { hidden, head, targets: fromHost(backend, targets) };
  const logProbs = empty(backend, [rows]);
  const logSumExp = empty(backend, [rows]);
  kernels.forward(inputs, logProbs, logSumExp);
  return record([hidden, head], logProbs, [hidden, head, inputs.targets, logSumExp], (dLogProbs, gradients) => {
    const into = { hidden: gradients.targetIfWanted(hidden), head: gradients.targetIfWanted(head) };
    kernels.gradient(dLogProbs, inputs, logSumExp, into);
  });
}

/** Rows and vocabulary of a product with the output head. */
export function requireHead(
  operation: string,
  hidden: Tensor,
  head: Tensor,
): readonly [rows: number, vocabulary: number] {
  requireFloats(operation, hidden, head);
  const [rows, width] = requireMatrix(operation, 'hidden', hidden);
  const [vocabulary] = requireMatrix(operation, 'head', head);
  requireShape(operation, 'head', head, [vocabulary, width]);
  return [rows, vocabulary];
}

/** Throws unless each row has a target in the vocabulary or −1. */
export function requireTargets(operation: string, targets: Int32Array, rows: number, vocabulary: number): void {
  if (targets.length !== rows) throw new Error(`${operation}: there are ${targets.length} targets for ${rows} rows`);
  for (let row = 0; row < rows; row++) {
    if (targets[row]! < -1 || targets[row]! >= vocabulary)
      throw new Error(`${operation}: target ${targets[row]} of row ${row} is outside a vocabulary of ${vocabulary}`);
  }
}

export function tokenLogProbsComposition(hidden: Tensor, head: Tensor, targets: Int32Array): Tensor {
  const { backend } = hidden;
  const [rows, vocabulary] = [hidden.shape[0]!, head.shape[0]!];
  requireInt32('tokenLogProbs', `the logits of ${rows} rows and a vocabulary of ${vocabulary}`, rows * vocabulary);
  const logits = linear(hidden, head);
  const largest = stopGradient(max(logits, [1]));
  const logSumExp = add(log(sum(exp(sub(logits, largest)), [1])), largest);
  const logProbs = reshape(sub(logits, logSumExp), [rows * vocabulary, 1]);
  const picked = gather(
    logProbs,
    fromHost(
      backend,
      targets.map((target, row) => row * vocabulary + Math.max(target, 0)),
    ),
  );
  const trained = fromHost(
    backend,
    Float32Array.from(targets, (target) => (target < 0 ? 0 : 1)),
  );
  return mul(reshape(picked, [rows]), trained);
}
