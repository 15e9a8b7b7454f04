import { z } from 'zod';
import type { Format } from './format.ts';

/** Text with one document per record, as in web corpora. */
export const text: Format = {
  name: 'text',
  shape: '{text}',
  keys: ['text'],
  columns: ['text'],
  rows: { text: z.object({ text: z.string().min(1) }) },
};
