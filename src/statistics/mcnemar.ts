import { incompleteBeta } from './incomplete-beta.ts';

/**
 * Two-sided p of McNemar's exact test (McNemar 1947): of the items on which just one of two models is right, each is as
 * likely to be right, so that the smaller count is binomial with probability ½, and p = 2·P(X ≤ smaller count), at most
 * 1. It speaks of these two trained models, and says nothing of how another seed would have trained them.
 */
export function mcnemarP(onlyFirst: number, onlySecond: number): number {
  const [fewer, more] = [Math.min(onlyFirst, onlySecond), Math.max(onlyFirst, onlySecond)];
  // P(X ≤ k) of n fair coins is I_½(n − k, k + 1).
  return more === 0 ? 1 : Math.min(1, 2 * incompleteBeta(0.5, more, fewer + 1));
}
