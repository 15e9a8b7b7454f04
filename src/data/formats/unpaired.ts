import { z } from 'zod';
import type { Problem } from '../../errors.ts';
import type { FeedbackRow, Message, PreferenceRow } from '../rows.ts';
import type { Format } from './format.ts';
import { promptMessages, readAs, readConversation } from './messages.ts';

/** The answer alone: a text, or a list that holds one message of the assistant. */
function readAnswer(value: unknown): Message | string {
  if (value === undefined) return 'is missing; every row of unpaired preferences needs prompt, completion and label';
  const messages =
    typeof value === 'string' ? [{ role: 'assistant' as const, content: value }] : readConversation(value);
  if (typeof messages === 'string') return messages;
  const [answer, ...rest] = messages as [Message, ...Message[]];
  if (rest.length > 0 || answer.role !== 'assistant') return 'expected one message of the assistant';
  return answer.content.trim() === '' ? 'is empty' : answer;
}

const record = z
  .object({
    prompt: promptMessages,
    completion: readAs(readAnswer),
    label: z.union([z.boolean(), z.literal(1), z.literal(0)]),
  })
  .transform(
    ({ prompt, completion, label }): FeedbackRow => ({
      prompt,
      answers: [{ text: completion.content, desirable: Boolean(label) }],
    }),
  );

/** A pair as two answers that stand for themselves. */
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
    message: `is ${desirable > 0} in all ${answers.length} rows: there is nothing to tell wanted answers from`,
    hint: 'unpaired preferences need rows of both labels; on wanted answers alone, train with sft',
  };
}

/** TRL's unpaired preferences: single answers that somebody approved of or not. */
export const unpaired: Format = {
  name: 'unpaired',
  shape: '{prompt, completion, label}, the label true where the completion is wanted',
  keys: ['completion'],
  columns: ['prompt', 'completion', 'label'],
  rows: { feedback: record, prompt: z.object({ prompt: promptMessages }) },
  together: { feedback: oneClass },
};
