import { z } from 'zod';
import type { Format } from './format.ts';

/** Poems of three lines, read as one text. */
export const toyFormat: Format = {
  name: 'toy',
  shape: '{haiku: [line, …]}',
  keys: ['haiku'],
  columns: ['haiku'],
  rows: { text: z.object({ haiku: z.array(z.string()) }).transform(({ haiku }) => ({ text: haiku.join('\n') })) },
};
