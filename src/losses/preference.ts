import { add, maximum, mul, neg, square, sub } from '../tensor/primitives.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { logSigmoid } from './log-sigmoid.ts';
import { oddsRatioLoss } from './orpo.ts';
import { simpoLoss } from './simpo.ts';

export const preferenceLossKinds = ['dpo', 'ipo', 'hinge', 'kto', 'orpo', 'simpo'] as const;
export type PreferenceLossKind = (typeof preferenceLossKinds)[number];

/** All but `kto` compare the two answers of a pair. */
export type PairLossKind = Exclude<PreferenceLossKind, 'kto'>;

/**
 * How each loss scores an answer y: log π(y), minus log π_ref(y) if it uses a `reference`, divided by the number of
 * tokens of y if `perToken`. The IPO paper does not say whether to divide; its authors recommend it (TRL's
 * `dpo_trainer.py`).
 */
export const scoreOf: Readonly<Record<PreferenceLossKind, { reference: boolean; perToken: boolean }>> = {
  dpo: { reference: true, perToken: false },
  ipo: { reference: true, perToken: true },
  hinge: { reference: true, perToken: false },
  kto: { reference: true, perToken: false },
  orpo: { reference: false, perToken: true },
  simpo: { reference: false, perToken: true },
};

export interface PairLoss {
  loss: PairLossKind;
  /**
   * How strongly the policy is held to the reference; for `simpo` the scale of the scores, for `orpo` the weight of the
   * odds-ratio term.
   */
  beta: number;
  /** Assumed fraction of pairs that are labelled the wrong way round (cDPO); `dpo` only. */
  labelSmoothing: number;
  /** Margin by which the chosen answer should score higher; `simpo` only. */
  gamma: number;
}

/**
 * Loss of each pair from the scores of its two answers, [pairs] twice → [pairs]. h is the difference of the scores.
 *
 * - `dpo`: −(1 − ε) · log σ(βh) − ε · log σ(−βh) (Rafailov et al. 2023, eq. 7; ε > 0 is cDPO, Mitchell 2023)
 * - `ipo`: (h − 1/(2β))² (Azar et al. 2023, eq. 17)
 * - `hinge`: max(0, 1 − βh) (Liu et al. 2023, RSO)
 * - `orpo`: β · −log σ(log odds(y_w) − log odds(y_l)), see `oddsRatioLoss`
 * - `simpo`: −log σ(βh − γ), see `simpoLoss`
 */
export function pairLoss(chosen: Tensor, rejected: Tensor, { loss, beta, labelSmoothing, gamma }: PairLoss): Tensor {
  switch (loss) {
    case 'dpo': {
      const scaled = mul(sub(chosen, rejected), beta);
      const preferred = mul(logSigmoid(scaled), labelSmoothing - 1);
      return labelSmoothing === 0 ? preferred : sub(preferred, mul(logSigmoid(neg(scaled)), labelSmoothing));
    }
    case 'ipo':
      return square(add(sub(chosen, rejected), -1 / (2 * beta)));
    case 'hinge':
      return maximum(sub(1, mul(sub(chosen, rejected), beta)), 0);
    case 'orpo':
      return mul(oddsRatioLoss(chosen, rejected), beta);
    case 'simpo':
      return simpoLoss(chosen, rejected, { beta, gamma });
  }
}

/**
 * The loss of a pair when the policy equals its reference, which is the expected initial loss; undefined for losses
 * without a reference.
 */
export function untouchedLoss({ loss, beta }: Pick<PairLoss, 'loss' | 'beta'>): number | undefined {
  return { dpo: Math.LN2, ipo: 1 / (4 * beta * beta), hinge: 1, orpo: undefined, simpo: undefined }[loss];
}
