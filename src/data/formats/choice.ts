import { z } from 'zod';
import type { ChoiceRow } from '../rows.ts';
import type { Format } from './format.ts';
import { accept, filledText, readPrompt } from './messages.ts';
import { systemColumns, systemKeys, withSystem } from './system.ts';

const keys = z.object({
  question: z.unknown().optional(),
  prompt: z.unknown().optional(),
  choices: z.array(filledText).min(2),
  answer: z.union([z.int(), z.string()]),
  ...systemKeys,
});

const record = keys.transform((row, context) => accept(choiceRow(row), context));

function choiceRow({ choices, answer: label, ...row }: z.infer<typeof keys>): ChoiceRow | string {
  const prompt = withSystem(row, readPrompt(row.question ?? row.prompt));
  if (typeof prompt === 'string') return `\`question\` ${prompt}`;
  const answer = answerIndex(choices, label);
  if (answer !== undefined) return { prompt, choices, answer };
  return `\`answer\` ${JSON.stringify(label)} is neither an index below ${choices.length}, nor the letter or text of a choice`;
}

/** An index from 0, the text of a choice, or a letter from A. */
function answerIndex(choices: readonly string[], label: number | string): number | undefined {
  const letter = typeof label === 'string' && /^[A-Z]$/.test(label) ? label.charCodeAt(0) - 65 : -1;
  const index = typeof label === 'number' ? label : choices.includes(label) ? choices.indexOf(label) : letter;
  return index >= 0 && index < choices.length ? index : undefined;
}

/** Multiple-choice questions. */
export const choice: Format = {
  name: 'choice',
  shape: '{question, choices: […], answer}, where the answer is an index from 0, a letter or a choice',
  keys: ['choices'],
  columns: ['question', 'prompt', 'choices', 'answer', ...systemColumns],
  rows: {
    choice: record,
    prompt: record.transform((row) => ({ prompt: row.prompt, answer: row.choices[row.answer] as string })),
  },
};
