import type { Tensor } from '../tensor/tensor.ts';

/**
 * Processes that train one model together, seen from one of them. All read the same data and have the same window of
 * rows in each step; each runs its share of them forward and backward, and all make the same update. Every rank calls
 * these functions at the same places and in the same order, and all get the same bits. Where a rank fails, the calls of
 * the others reject.
 */
export interface Ranks {
  /** From 0. */
  readonly rank: number;
  readonly size: number;
  /** The items of all ranks, those of rank 0 first: plain data, which can be cloned. */
  gather<T>(own: readonly T[]): Promise<readonly T[]>;
  /** Replaces each gradient by its sum over the ranks. */
  sumGradients(gradients: Iterable<Tensor>): Promise<void>;
}

/** One process that trains by itself. */
export const alone: Ranks = { rank: 0, size: 1, gather: async (own) => own, sumGradients: async () => {} };

/**
 * The rows that a rank computes: consecutive ones, as many as on any other rank or one fewer, and none where there are
 * fewer rows than ranks. The shares of all ranks, one after the other, are all rows.
 */
export function shareOf<Row>(rows: readonly Row[], ranks: Pick<Ranks, 'rank' | 'size'>): readonly Row[] {
  return rows.slice(...boundsOf(rows.length, ranks));
}

/** The micro-batches of a rank's share of a window: no larger than those of the window, and never empty. */
export function shareOfBatches<Row>(
  window: readonly (readonly Row[])[],
  ranks: Pick<Ranks, 'rank' | 'size'>,
): (readonly Row[])[] {
  const rows = window.reduce((total, batch) => total + batch.length, 0);
  const [from, to] = boundsOf(rows, ranks);
  let start = 0;
  return window.flatMap((batch) => {
    const own = batch.slice(Math.max(0, from - start), Math.max(0, to - start));
    start += batch.length;
    return own.length > 0 ? [own] : [];
  });
}

function boundsOf(rows: number, { rank, size }: Pick<Ranks, 'rank' | 'size'>): [from: number, to: number] {
  return [Math.floor((rank * rows) / size), Math.floor(((rank + 1) * rows) / size)];
}
