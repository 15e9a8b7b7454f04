import { add, exp, gather, log, max, mul, reshape, stopGradient, sub, sum } from '../primitives.ts';
import { empty, fromHost } from '../scope.ts';
import { record } from '../tape.ts';
import type { Tensor } from '../tensor.ts';
import { linearComposition } from './linear.ts';

/**
 * log softmax(hidden · headᵀ)[target] for each row; 0 where the target is −1.
 * hidden [rows, H], head [V, H], targets [rows] → [rows]. Saves the log-sum-exp [rows]; [rows, V] never exists.
 */
export function tokenLogProbs(hidden: Tensor, head: Tensor, targets: Int32Array): Tensor {
  const { backend } = hidden;
  const { fused } = backend;
  if (!fused.tokenLogProbs || !fused.tokenLogProbsGradient) return tokenLogProbsComposition(hidden, head, targets);
  const rows = hidden.shape[0]!;
  const targetsTensor = fromHost(backend, targets);
  const logProbs = empty(backend, [rows]);
  const logSumExp = empty(backend, [rows]);
  fused.tokenLogProbs(hidden, head, targetsTensor, logProbs, logSumExp);
  return record([hidden, head], logProbs, [hidden, head, targetsTensor, logSumExp], (dLogProbs, gradients) => {
    const dHidden = gradients.targetIfWanted(hidden);
    const dHead = gradients.targetIfWanted(head);
    fused.tokenLogProbsGradient?.(
      dLogProbs,
      hidden,
      head,
      targetsTensor,
      logSumExp,
      dHidden?.tensor,
      dHidden?.accumulate ?? false,
      dHead?.tensor,
      dHead?.accumulate ?? false,
    );
  });
}

export function tokenLogProbsComposition(hidden: Tensor, head: Tensor, targets: Int32Array): Tensor {
  const { backend } = hidden;
  const logits = linearComposition(hidden, head);
  const [rows, vocabulary] = logits.shape as [number, number];
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
