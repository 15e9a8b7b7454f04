import { add, maximum, mul, neg, square, sub } from '../tensor/primitives.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { logSigmoid } from './log-sigmoid.ts';

export const preferenceLossKinds = ['dpo', 'ipo', 'hinge'] as const;
export type PreferenceLossKind = (typeof preferenceLossKinds)[number];

export interface PreferenceLoss {
  loss: PreferenceLossKind;
  /** How strongly the policy is held to the reference. */
  beta: number;
  /** Share of pairs taken to be labelled the wrong way round (cDPO); `dpo` only. */
  labelSmoothing: number;
}

/**
 * Loss of each pair from its margin h = [log π(y_w) − log π_ref(y_w)] − [log π(y_l) − log π_ref(y_l)], [pairs] → [pairs].
 *
 * - `dpo`: −(1 − ε) · log σ(βh) − ε · log σ(−βh) (Rafailov et al. 2023, eq. 7; ε > 0 is cDPO, Mitchell 2023)
 * - `ipo`: (h − 1/(2β))² (Azar et al. 2023, eq. 17)
 * - `hinge`: max(0, 1 − βh) (Liu et al. 2023, RSO)
 */
export function preferenceLoss(margin: Tensor, { loss, beta, labelSmoothing }: PreferenceLoss): Tensor {
  switch (loss) {
    case 'dpo': {
      const scaled = mul(margin, beta);
      const preferred = mul(logSigmoid(scaled), labelSmoothing - 1);
      return labelSmoothing === 0 ? preferred : sub(preferred, mul(logSigmoid(neg(scaled)), labelSmoothing));
    }
    case 'ipo':
      return square(add(margin, -1 / (2 * beta)));
    case 'hinge':
      return maximum(sub(1, mul(margin, beta)), 0);
  }
}

/** The loss of a policy that equals its reference: what the first step must show. */
export function untouchedLoss({ loss, beta }: PreferenceLoss): number {
  return { dpo: Math.LN2, ipo: 1 / (4 * beta * beta), hinge: 1 }[loss];
}
