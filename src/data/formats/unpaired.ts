import { z } from 'zod';
import type { Problem } from '../../errors.ts';
import type { FeedbackRow, Message, PreferenceRow } from '../rows.ts';
import type { Format } from './format.ts';
import { accept, readConversation, readPrompt } from './messages.ts';
import { systemColumns, systemKeys, withSystem } from './system.ts';
import { answerTo } from './transcript.ts';

/** Reads an answer: a text, or a list of one message of the assistant. */
function readAnswer(value: unknown, prompt: unknown): string | { problem: string } {
  if (value === undefined) {
    return { problem: 'is missing; every row of unpaired preferences needs prompt, completion and label' };
  }
  const text = typeof value === 'string' ? answerTo(prompt, value) : undefined;
  const messages: Message[] | string =
    text === undefined ? readConversation(value) : [{ role: 'assistant', content: text }];
  if (typeof messages === 'string') return { problem: messages };
  const [answer, ...rest] = messages as [Message, ...Message[]];
  if (rest.length > 0 || answer.role !== 'assistant') return { problem: 'expected one message of the assistant' };
  if (answer.trained === false) return { problem: 'is marked as a turn that is not trained' };
  return answer.content.trim() === '' ? { problem: 'is empty' } : answer.content;
}

const prompted = z.object({ prompt: z.unknown().optional(), ...systemKeys }).transform((row, context) => {
  const prompt = withSystem(row, readPrompt(row.prompt));
  return { prompt: accept(prompt, context, 'prompt') };
});

const labelled = z.object({
  prompt: z.unknown().optional(),
  completion: z.unknown().optional(),
  label: z.union([z.boolean(), z.literal(1), z.literal(0)]),
  ...systemKeys,
});

const record = labelled.transform((row, context): FeedbackRow => {
  const prompt = withSystem(row, readPrompt(row.prompt));
  const text = readAnswer(row.completion, row.prompt);
  if (typeof prompt === 'string') return accept<FeedbackRow>(prompt, context, 'prompt');
  if (typeof text !== 'string') return accept<FeedbackRow>(text.problem, context, 'completion');
  return { prompt, answers: [{ text, desirable: Boolean(row.label) }] };
});

/** Turns a pair into two separate answers. */
export function feedbackOf({ prompt, chosen, rejected }: PreferenceRow): FeedbackRow {
  return {
    prompt,
    answers: [
      { text: chosen, desirable: true },
      { text: rejected, desirable: false },
    ],
  };
}

function oneClass(rows: readonly FeedbackRow[]): Problem | undefined {
  const answers = rows.flatMap((row) => row.answers);
  const desirable = answers.filter((answer) => answer.desirable).length;
  if (answers.length === 0 || (desirable > 0 && desirable < answers.length)) return undefined;
  return {
    where: '`label`',
    message: `is ${desirable > 0} in all ${answers.length} rows: there are no others to compare with`,
    hint: 'unpaired preferences need rows of both labels; to train on wanted answers alone, use sft',
  };
}

/** TRL's unpaired preferences: single answers labelled as wanted or not. */
export const unpaired: Format = {
  name: 'unpaired',
  shape: '{prompt, completion, label}, where the label is true if the completion is wanted',
  keys: ['completion'],
  columns: ['prompt', 'completion', 'label', ...systemColumns],
  rows: { feedback: record, prompt: prompted },
  together: { feedback: oneClass },
};
