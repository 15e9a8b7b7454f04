import type { z } from 'zod';
import type { Problem } from '../../errors.ts';
import type { RowOf, Use } from '../rows.ts';

/** How one kind of record is turned into rows. A format may have several uses: a chat can be trained on or answered. */
export interface Format {
  name: string;
  /** The shape of a record, in notation for users. */
  shape: string;
  /** A record with one of these keys has this format, unless an earlier format in the list matches. */
  keys: readonly string[];
  /** All columns that the format reads. */
  columns: readonly string[];
  /** For each use, the schema whose output is the row. */
  rows: { readonly [U in Use]?: z.ZodType<RowOf[U]> };
  /** For each use, checks all rows together for problems that no row has by itself. */
  together?: { readonly [U in Use]?: (rows: readonly RowOf[U][]) => Problem | undefined };
  /** For each use, what the user may not expect about the rows and should be told. */
  remark?: { readonly [U in Use]?: (rows: readonly RowOf[U][]) => string | undefined };
}
