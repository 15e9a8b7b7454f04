import { z } from 'zod';
import type { Format } from './format.ts';
import { promptMessages } from './messages.ts';

/** Prompts to answer, with the right answer where it can be verified. */
export const prompt: Format = {
  name: 'prompt',
  shape: '{prompt, answer?}, the prompt a text or messages',
  keys: ['prompt'],
  columns: ['prompt', 'answer'],
  rows: { prompt: z.object({ prompt: promptMessages, answer: z.string().min(1).optional() }) },
};
