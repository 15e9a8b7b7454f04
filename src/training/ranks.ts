import type { Tensor } from '../tensor/tensor.ts';

/**
 * Processes that train one model together, seen from one of them. All read the same data and have the same window of
 * rows in each step; each runs the forward and backward passes of its share, and all make the same update. All ranks
 * must make the same calls in the same order, and all get the same bits. If a rank fails, the calls of the others
 * reject.
 */
export interface Ranks {
  /** Number of this rank, from 0. */
  readonly rank: number;
  readonly size: number;
  /** Returns the items of all ranks, those of rank 0 first. Items are plain data that can be cloned. */
  gather<T>(own: readonly T[]): Promise<readonly T[]>;
  /** Replaces each gradient with its sum over all ranks. */
  sumGradients(gradients: Iterable<Tensor>): Promise<void>;
}

/** A single process that trains by itself. */
export const alone: Ranks = { rank: 0, size: 1, gather: async (own) => own, sumGradients: async () => {} };

/**
 * The rows that a rank computes: consecutive ones, whose numbers differ by at most one between ranks. Concatenated in
 * order of rank, the shares are all rows. With fewer rows than ranks, some shares are empty.
 */
export function shareOf<Row>(rows: readonly Row[], ranks: Pick<Ranks, 'rank' | 'size'>): readonly Row[] {
  return rows.slice(...boundsOf(rows.length, ranks));
}

/** A rank's share of a window, in micro-batches no larger than those of the window; empty ones are left out. */
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
