import type { z } from 'zod';
import type { Problem } from '../../errors.ts';
import type { RowOf, Use } from '../rows.ts';

/** How one kind of record becomes rows. A format may serve several uses: a chat can be trained on or answered. */
export interface Format {
  name: string;
  /** A record as a person would write it down. */
  shape: string;
  /** A record that has one of these, and none of a format before, is taken to be of this format. */
  keys: readonly string[];
  /** All columns that the format reads. */
  columns: readonly string[];
  /** For each use, the schema whose output is the row. */
  rows: { readonly [U in Use]?: z.ZodType<RowOf[U]> };
  /** What is wrong with all rows of a use together, where each by itself is right. */
  together?: { readonly [U in Use]?: (rows: readonly RowOf[U][]) => Problem | undefined };
  /** What a person may not expect of all rows of a use, and is told. */
  remark?: { readonly [U in Use]?: (rows: readonly RowOf[U][]) => string | undefined };
}
