import { add, mul, neg, sub } from '../tensor/primitives.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { logSigmoid } from './log-sigmoid.ts';

/**
 * SimPO loss of each pair: −log σ(β · (p_w − p_l) − γ), where p is the mean log-probability of an answer's tokens.
 * There is no reference model (Meng et al. 2024, arXiv 2405.14734, eq. 6). [pairs] twice → [pairs].
 */
export function simpoLoss(chosen: Tensor, rejected: Tensor, { beta, gamma }: { beta: number; gamma: number }): Tensor {
  return neg(logSigmoid(add(mul(sub(chosen, rejected), beta), -gamma)));
}
