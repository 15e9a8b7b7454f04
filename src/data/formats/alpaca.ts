import { z } from 'zod';
import type { Message } from '../rows.ts';
import { splitChoices } from './commonsense.ts';
import type { Format } from './format.ts';
import { accept } from './messages.ts';

const record = z.object({
  instruction: z.string().min(1),
  input: z.string().optional(),
  output: z.string().min(1),
  answer: z.string().optional(),
});

function question({ instruction, input }: z.infer<typeof record>): Message {
  return { role: 'user', content: input ? `${instruction}\n\n${input}` : instruction };
}

/** Stanford Alpaca, and Commonsense170K (LLM-Adapters), which adds the label of the right choice as `answer`. */
export const alpaca: Format = {
  name: 'alpaca',
  shape: '{instruction, input?, output}, with `answer` in the Commonsense170K form',
  keys: ['instruction', 'output'],
  columns: ['instruction', 'input', 'output', 'answer'],
  rows: {
    messages: record.transform((row) => ({ messages: [question(row), { role: 'assistant', content: row.output }] })),
    prompt: record.transform((row) => ({ prompt: [question(row)], answer: row.answer ?? row.output })),
    choice: record.transform((row, context) => accept(splitChoices(row.instruction, row.answer), context)),
  },
};
