export interface KlTarget {
  /** The KL divergence from the reference to aim for, in nats per response. */
  target: number;
  /** Number of samples over which a KL of at least 1.2 × target multiplies the coefficient by about e^0.2. */
  horizon: number;
}

/**
 * The KL coefficient after a step of `samples` responses whose mean KL is `kl`: β · (1 + e · samples / horizon), with
 * e = clip(kl / target − 1, −0.2, 0.2) (Ziegler et al. 2019, arXiv 1909.08593, section 2.2).
 */
export function adaptedCoefficient(beta: number, kl: number, samples: number, { target, horizon }: KlTarget): number {
  const error = Math.min(0.2, Math.max(-0.2, kl / target - 1));
  return beta * (1 + (error * samples) / horizon);
}
