import { z } from 'zod';
import type { Message, PreferenceRow } from '../rows.ts';
import type { Format } from './format.ts';
import { accept, fromFirstQuestion, readAs, readConversation, readMessage, readPrompt } from './messages.ts';
import { feedbackOf } from './unpaired.ts';

/** What `chosen` and `rejected` hold: the answer alone, or the whole conversation with it. */
function readCompletion(value: unknown): Message[] | string {
  if (value === undefined) return 'is missing; every row of a preference file needs a prompt, chosen and rejected';
  if (typeof value === 'string' && value.trim() === '') return 'is empty';
  if (Array.isArray(value)) return readConversation(value);
  if (typeof value === 'string') return readTranscript(value) ?? [{ role: 'assistant', content: value }];
  const message = readMessage(value);
  return typeof message === 'string' ? message : [message];
}

/** HH-RLHF's transcripts, where turns are marked by `\n\nHuman: ` and `\n\nAssistant: `. */
function readTranscript(text: string): Message[] | undefined {
  if (!text.startsWith('\n\nHuman: ')) return undefined;
  const parts = text.split(/\n\n(Human|Assistant): ?/).slice(1);
  return Array.from({ length: parts.length / 2 }, (_, turn) => ({
    role: parts[2 * turn] === 'Human' ? 'user' : 'assistant',
    content: parts[2 * turn + 1] as string,
  }));
}

const completion = readAs(readCompletion);

const record = z
  .object({
    prompt: z.unknown().optional(),
    conversations: z.unknown().optional(),
    chosen: completion,
    rejected: completion,
    score_chosen: z.number().nullish(),
    score_rejected: z.number().nullish(),
  })
  .transform((row, context) =>
    accept(swappedScores(row) ?? preferenceRow(readContext(row), row.chosen, row.rejected), context),
  );

/** Rows that say themselves how good their answers are cannot have them the wrong way round. */
function swappedScores(row: { score_chosen?: number | null; score_rejected?: number | null }): string | undefined {
  const { score_chosen: chosen, score_rejected: rejected } = row;
  if (typeof chosen !== 'number' || typeof rejected !== 'number' || chosen >= rejected) return undefined;
  return `\`chosen\` has the lower score, ${chosen} against ${rejected}: chosen and rejected are swapped`;
}

/** The conversation before the answers, where the file has it in a column of its own. */
function readContext(row: { prompt?: unknown; conversations?: unknown }): Message[] | string {
  if (row.prompt !== undefined) return readPrompt(row.prompt);
  if (row.conversations === undefined) return [];
  const messages = readConversation(row.conversations);
  return typeof messages === 'string' ? `\`conversations\` ${messages}` : fromFirstQuestion(messages);
}

function preferenceRow(context: Message[] | string, chosen: Message[], rejected: Message[]): PreferenceRow | string {
  if (typeof context === 'string') return context;
  const whole = chosen.length > 1 || rejected.length > 1;
  const start = whole ? commonTurns(chosen, rejected) : 0;
  const prompt = whole ? chosen.slice(0, start) : context;

  if (prompt.length === 0) return '`prompt` is missing, and `chosen` and `rejected` have no beginning in common';
  if (prompt.at(-1)?.role !== 'user') return 'the prompt does not end with a user turn';
  if (chosen.length !== start + 1 || rejected.length !== start + 1) {
    return '`chosen` and `rejected` differ in more than their last turn';
  }
  const [better, worse] = [chosen[start] as Message, rejected[start] as Message];
  if (better.role !== 'assistant' || worse.role !== 'assistant') {
    return '`chosen` and `rejected` do not end with the assistant';
  }
  if (better.content === worse.content) return '`chosen` and `rejected` are the same text';
  if (better.content.trim() === '' || worse.content.trim() === '')
    return '`chosen` or `rejected` ends with an empty turn';
  return { prompt, chosen: better.content, rejected: worse.content };
}

/** Turns that both begin with; the last turn of either is an answer and never counted. */
function commonTurns(a: readonly Message[], b: readonly Message[]): number {
  const limit = Math.min(a.length, b.length) - 1;
  let turns = 0;
  while (turns < limit && a[turns]?.role === b[turns]?.role && a[turns]?.content === b[turns]?.content) turns++;
  return turns;
}

/** Preference pairs in the spellings of TRL, UltraFeedback (binarized), HH-RLHF and ShareGPT. */
export const preference: Format = {
  name: 'preference',
  shape: '{prompt, chosen, rejected}, texts or messages, or {conversations, chosen, rejected}',
  keys: ['chosen', 'rejected'],
  columns: ['prompt', 'conversations', 'chosen', 'rejected', 'score_chosen', 'score_rejected'],
  rows: {
    preference: record,
    feedback: record.transform(feedbackOf),
    prompt: record.transform(({ prompt }) => ({ prompt })),
  },
};
