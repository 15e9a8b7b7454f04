import { add, exp, greater, log, mul, neg, sub, where } from '../tensor/primitives.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { logSigmoid } from './log-sigmoid.ts';

/**
 * ORPO's odds-ratio term of each pair: −log σ(log odds(p_w) − log odds(p_l)), with log p the mean log-probability of an
 * answer's tokens and odds(p) = p / (1 − p) (Hong et al. 2024, arXiv 2403.07691, eq. 7). The full ORPO loss is the
 * cross-entropy of the chosen answer plus λ times this term. [pairs] twice → [pairs].
 */
export function oddsRatioLoss(chosen: Tensor, rejected: Tensor): Tensor {
  return neg(logSigmoid(sub(logOdds(chosen), logOdds(rejected))));
}

/** log p − log(1 − p) from log p < 0. */
function logOdds(logProb: Tensor): Tensor {
  // 1 − eˣ cancels as x approaches 0; there the first terms of its series are accurate to 1e-10.
  const series = mul(neg(logProb), add(mul(logProb, add(mul(logProb, 1 / 6), 0.5)), 1));
  const near = greater(logProb, -1e-3);
  return sub(logProb, log(where(near, series, sub(1, exp(logProb)))));
}
