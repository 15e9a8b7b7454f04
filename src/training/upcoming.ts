import type { DataCursor } from '../data/cursor.ts';
import { nextMicroBatches } from './language-model.ts';

/** Maximum number of steps to look ahead. */
const stepsAhead = 10_000;

interface Batching {
  batchSize: number;
  accumulate: number;
}

/** The rows that the next steps will learn from, each once. The cursor does not move. */
export function upcomingRows<Row>(cursor: DataCursor, rows: readonly Row[], batching: Batching, steps: number): Row[] {
  const found = new Set<Row>();
  for (const batch of upcomingBatches(cursor, rows, batching, steps)) {
    for (const row of batch) found.add(row);
    if (found.size === rows.length) break;
  }
  return rows.filter((row) => found.has(row));
}

/** Number of tokens of the largest micro-batch of the next steps. The cursor does not move. */
export function largestBatch<Row>(
  cursor: DataCursor,
  rows: readonly Row[],
  config: Batching,
  { steps, tokensOf }: { steps: number; tokensOf(row: Row): number },
): number {
  let largest = 0;
  for (const batch of upcomingBatches(cursor, rows, config, Math.min(steps, stepsAhead))) {
    largest = Math.max(
      largest,
      batch.reduce((sum, row) => sum + tokensOf(row), 0),
    );
  }
  return largest;
}

/** The micro-batches of the next steps; afterwards the cursor is where it was. */
function* upcomingBatches<Row>(
  cursor: DataCursor,
  rows: readonly Row[],
  batching: Batching,
  steps: number,
): Generator<Row[]> {
  const place = cursor.state();
  try {
    for (let step = 0; step < steps; step++) yield* nextMicroBatches(cursor, rows, batching);
  } finally {
    cursor.restore(place);
  }
}
