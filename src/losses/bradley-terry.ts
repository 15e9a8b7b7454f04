import { add, gather, mul, neg, square, sub, sum } from '../tensor/primitives.ts';
import { fromHost } from '../tensor/scope.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { logSigmoid } from './log-sigmoid.ts';

/** Which score of a list beats which: a pair of indices, and how much the pair counts. */
export interface ScoredPair {
  better: number;
  worse: number;
  /** By how much the better one is known to be better, on the scale of the scores. */
  margin: number;
  /**
   * 1 / C(K, 2) for each pair of K ranked answers makes their prompt count once (Ouyang et al. 2022, InstructGPT, eq.
   * 1).
   */
  weight: number;
}

/**
 * Σ weight · (−log σ(r_better − r_worse − margin) + c · (r_better + r_worse)²), scores [n] → [1]: the model of Bradley
 * & Terry 1952 with the margin of Llama 2 (Touvron et al. 2023, eq. 2) and the centring of Eisenstein et al. 2023 (eq.
 * 6), which keeps scores near 0, a place that the first term leaves open. c = 0 turns it off; 0.01 is usual.
 */
export function bradleyTerryLoss(scores: Tensor, pairs: readonly ScoredPair[], centring = 0): Tensor {
  const { backend } = scores;
  const scoresAt = (side: 'better' | 'worse'): Tensor =>
    gather(
      scores,
      fromHost(
        backend,
        Int32Array.from(pairs, (pair) => pair[side]),
      ),
    );
  const [better, worse] = [scoresAt('better'), scoresAt('worse')];
  const margins = fromHost(
    backend,
    Float64Array.from(pairs, ({ margin }) => margin),
  );
  const losses = neg(logSigmoid(sub(sub(better, worse), margins)));
  const centred = centring === 0 ? losses : add(losses, mul(square(add(better, worse)), centring));
  return sum(
    mul(
      centred,
      fromHost(
        backend,
        Float64Array.from(pairs, ({ weight }) => weight),
      ),
    ),
  );
}
