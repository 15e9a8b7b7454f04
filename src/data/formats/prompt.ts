import { z } from 'zod';
import type { Format } from './format.ts';
import { accept, filledText, readPrompt } from './messages.ts';
import { systemColumns, systemKeys, withSystem } from './system.ts';

const isExact = (number: number) => !Number.isInteger(number) || Number.isSafeInteger(number);

/** A text, or a number, which is converted to text as JavaScript does. */
const answer = z.union([
  filledText,
  z.number().refine(isExact, 'is too large to be exact: write it as text').transform(String),
]);

const record = z
  .object({ prompt: z.unknown().optional(), answer: answer.optional(), ...systemKeys })
  .transform((row, context) => ({
    prompt: accept(withSystem(row, readPrompt(row.prompt)), context, 'prompt'),
    ...(row.answer === undefined ? {} : { answer: row.answer }),
  }));

/** Prompts to answer, optionally with the correct answer. */
export const prompt: Format = {
  name: 'prompt',
  shape: '{prompt, answer?}, where the prompt is a text or messages',
  keys: ['prompt'],
  columns: ['prompt', 'answer', ...systemColumns],
  rows: { prompt: record },
};
