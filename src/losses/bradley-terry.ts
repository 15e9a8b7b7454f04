import { add, gather, mul, neg, square, sub, sum } from '../tensor/primitives.ts';
import { fromHost } from '../tensor/scope.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { logSigmoid } from './log-sigmoid.ts';

/** A pair of indices into a list of scores, the weight of the pair and the margin wanted between the two scores. */
export interface ScoredPair {
  better: number;
  worse: number;
  /** How much better the better answer is known to be, on the scale of the scores. */
  margin: number;
  /**
   * Weight of the pair in the loss. With 1 / C(K, 2) for each pair of K ranked answers, every prompt counts once
   * (Ouyang et al. 2022, InstructGPT, eq. 1).
   */
  weight: number;
}

/**
 * Σ weight · (−log σ(r_better − r_worse − margin) + c · (r_better + r_worse)²), scores [n] → [1]: the model of Bradley
 * & Terry 1952 with the margin of Llama 2 (Touvron et al. 2023, eq. 2) and the centring of Eisenstein et al. 2023 (eq.
 * 6). Centring keeps the scores near 0: the first term only depends on differences, so it fixes no offset. c = 0 turns
 * centring off; 0.01 is usual.
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
