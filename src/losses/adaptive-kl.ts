export interface KlTarget {
  /** KL to the reference, of whole responses, that is aimed at. */
  target: number;
  /** Samples in which a KL of 1.2 × target or more multiplies the coefficient by about e^0.2. */
  horizon: number;
}

/**
 * The KL coefficient after a step of `samples` responses of mean KL `kl`: β · (1 + e · samples / horizon), with
 * e = clip(kl / target − 1, −0.2, 0.2) (Ziegler et al. 2019, arXiv 1909.08593, section 2.2).
 */
export function adaptedCoefficient(beta: number, kl: number, samples: number, { target, horizon }: KlTarget): number {
  const error = Math.min(0.2, Math.max(-0.2, kl / target - 1));
  return beta * (1 + (error * samples) / horizon);
}
