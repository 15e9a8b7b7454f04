import { z } from 'zod';
import type { Format } from './format.ts';

/** JSONL text, as web corpora come: one document a record. */
export const text: Format = {
  name: 'text',
  shape: '{text}',
  keys: ['text'],
  columns: ['text'],
  rows: { text: z.object({ text: z.string().min(1) }) },
};
