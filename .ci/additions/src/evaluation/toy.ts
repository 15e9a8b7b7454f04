import type { TextRow } from '../data/rows.ts';

/** The number of letters in all texts. */
export function countLetters(rows: readonly TextRow[]): number {
  return rows.reduce((sum, { text }) => sum + (text.match(/\p{L}/gu)?.length ?? 0), 0);
}
