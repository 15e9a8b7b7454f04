import { z } from 'zod';
import type { Message } from '../rows.ts';
import { splitChoices } from './commonsense.ts';
import type { Format } from './format.ts';
import { accept, filledText } from './messages.ts';
import { systemColumns, systemKeys, withSystem } from './system.ts';

const record = z.object({
  instruction: filledText,
  input: z.string().optional(),
  output: filledText,
  answer: z.string().optional(),
  history: z.array(z.tuple([z.string(), z.string()])).optional(),
  ...systemKeys,
});

type Row = z.infer<typeof record>;

/** The conversation up to the question: the system turn, earlier turns, and the instruction with its input. */
function asked(row: Row): Message[] | string {
  const before = (row.history ?? []).flatMap(([user, assistant]): Message[] => [
    { role: 'user', content: user },
    { role: 'assistant', content: assistant },
  ]);
  const content = row.input ? `${row.instruction}\n\n${row.input}` : row.instruction;
  return withSystem(row, [...before, { role: 'user', content }]);
}

function answered(row: Row): { messages: Message[] } | string {
  const prompt = asked(row);
  return typeof prompt === 'string' ? prompt : { messages: [...prompt, { role: 'assistant', content: row.output }] };
}

function prompted(row: Row): { prompt: Message[]; answer: string } | string {
  const prompt = asked(row);
  return typeof prompt === 'string' ? prompt : { prompt, answer: row.answer ?? row.output };
}

/**
 * Stanford Alpaca, with LLaMA-Factory's `system` and `history`, and Commonsense170K (LLM-Adapters), which adds the
 * label of the correct choice as `answer`.
 */
export const alpaca: Format = {
  name: 'alpaca',
  shape: '{instruction, input?, output}, with `answer` in the Commonsense170K form',
  keys: ['instruction', 'output'],
  columns: ['instruction', 'input', 'output', 'answer', 'history', ...systemColumns],
  rows: {
    messages: record.transform((row, context) => accept(answered(row), context)),
    prompt: record.transform((row, context) => accept(prompted(row), context)),
    choice: record.transform((row, context) => accept(splitChoices(row.instruction, row.answer), context)),
  },
};
