import { z } from 'zod';
import type { Message, PreferenceRow } from '../rows.ts';
import type { Format } from './format.ts';
import { accept, fromFirstQuestion, readAs, readConversation, readMessage, readPrompt } from './messages.ts';
import { systemColumns, systemKeys, withSystem } from './system.ts';
import { answerTo, readTranscript } from './transcript.ts';
import { feedbackOf } from './unpaired.ts';

/** Reads `chosen` or `rejected`: an answer of one or more turns, or the whole conversation including the answer. */
function readAnswer(value: unknown): { text: string } | { turns: Message[] } | string {
  if (value === undefined) return 'is missing; every row of a preference file needs a prompt, chosen and rejected';
  if (typeof value === 'string') return value.trim() === '' ? 'is empty' : { text: value };
  const turns = Array.isArray(value) ? readConversation(value) : readMessage(value);
  if (typeof turns === 'string') return turns;
  return { turns: Array.isArray(turns) ? turns : [turns] };
}

const answer = readAs(readAnswer);
type Answer = z.infer<typeof answer>;

/** Names of columns with scores of the two answers. */
const scoreColumns = [
  ['score_chosen', 'score_rejected'],
  ['chosen_score', 'rejected_score'],
  ['chosen_rating', 'rejected_rating'],
  ['chosen-rating', 'rejected-rating'],
] as const;
type ScoreColumn = (typeof scoreColumns)[number][number];

const score = z.number().optional();
const scores = Object.fromEntries(scoreColumns.flat().map((column) => [column, score])) as Record<
  ScoreColumn,
  typeof score
>;

const keys = z.object({
  prompt: z.unknown().optional(),
  conversations: z.unknown().optional(),
  chosen: answer,
  rejected: answer,
  ...scores,
  ...systemKeys,
});

type Row = z.infer<typeof keys>;

const record = keys.transform((row, context) => accept(swappedScores(row) ?? preferenceRow(row), context));

/** A problem if the scores of a row show that its answers are the wrong way round. */
function swappedScores(row: Row): string | undefined {
  for (const [better, worse] of scoreColumns) {
    const [chosen, rejected] = [row[better], row[worse]];
    if (chosen === undefined || rejected === undefined || chosen >= rejected) continue;
    return `\`chosen\` has the lower score, ${chosen} against ${rejected}: chosen and rejected are swapped`;
  }
  return undefined;
}

/** The conversation before the answers, if it is in a separate column. */
function readContext(row: Row): Message[] | string {
  if (row.prompt !== undefined) {
    const prompt = readPrompt(row.prompt);
    return typeof prompt === 'string' ? `\`prompt\` ${prompt}` : prompt;
  }
  if (row.conversations === undefined) return [];
  const messages = readConversation(row.conversations);
  return typeof messages === 'string' ? `\`conversations\` ${messages}` : fromFirstQuestion(messages);
}

function preferenceRow(row: Row): PreferenceRow | string {
  const context = readContext(row);
  if (typeof context === 'string') return context;
  const chosen = wholeConversation(row, context, 'chosen');
  const rejected = wholeConversation(row, context, 'rejected');
  if (typeof chosen === 'string') return chosen;
  if (typeof rejected === 'string') return rejected;

  const start = commonTurns(chosen, rejected);
  const prompt = chosen.slice(0, start);
  if (start === 0) return '`prompt` is missing, and `chosen` and `rejected` do not share a beginning';
  if (prompt.at(-1)?.role !== 'user') return 'the prompt does not end with a user turn';
  if (chosen.length !== start + 1 || rejected.length !== start + 1) {
    return '`chosen` and `rejected` differ in more than their last turn';
  }
  const [better, worse] = [chosen[start] as Message, rejected[start] as Message];
  if (better.role !== 'assistant' || worse.role !== 'assistant') {
    return '`chosen` and `rejected` do not end with the assistant';
  }
  if (better.trained === false || worse.trained === false) return 'an answer is marked as a turn that is not trained';
  if (better.content === worse.content) return '`chosen` and `rejected` are the same text';
  if (better.content.trim() === '' || worse.content.trim() === '')
    return '`chosen` or `rejected` ends with an empty turn';
  return { prompt, chosen: better.content, rejected: worse.content };
}

/**
 * The conversation including the answer. The column contains either just the answer to the context, or the whole
 * conversation, if it begins with the context, perhaps preceded by a system turn.
 */
function wholeConversation(row: Row, context: readonly Message[], column: 'chosen' | 'rejected'): Message[] | string {
  const turns = turnsOf(row[column], row.prompt);
  const conversation = withSystem(row, joined(context, turns) ?? []);
  if (typeof conversation === 'string') return conversation;
  return conversation.length > 0 ? conversation : `\`${column}\` begins with a different conversation from the prompt`;
}

function turnsOf(given: Answer, prompt: unknown): Message[] {
  if ('turns' in given) return given.turns;
  return readTranscript(given.text)?.messages ?? [{ role: 'assistant', content: answerTo(prompt, given.text) }];
}

function joined(context: readonly Message[], answer: readonly Message[]): Message[] | undefined {
  if (answer[0]?.role === 'assistant') return [...context, ...answer];
  const head = answer[0]?.role === 'system' && context[0]?.role !== 'system' ? 1 : 0;
  const isWhole = context.every((turn, i) => isSameTurn(turn, answer[head + i]));
  return isWhole ? [...answer] : undefined;
}

/** Number of turns that both begin with; the last turn of each is an answer and does not count. */
function commonTurns(a: readonly Message[], b: readonly Message[]): number {
  const limit = Math.min(a.length, b.length) - 1;
  let turns = 0;
  while (turns < limit && isSameTurn(a[turns]!, b[turns])) turns++;
  return turns;
}

function isSameTurn(a: Message, b: Message | undefined): boolean {
  return a.role === b?.role && a.content === b.content;
}

/** Preference pairs in the forms of TRL, UltraFeedback (binarized), HH-RLHF and ShareGPT. */
export const preference: Format = {
  name: 'preference',
  shape: '{prompt, chosen, rejected} as texts or messages, or {conversations, chosen, rejected}',
  keys: ['chosen', 'rejected'],
  columns: ['prompt', 'conversations', 'chosen', 'rejected', ...scoreColumns.flat(), ...systemColumns],
  rows: {
    preference: record,
    feedback: record.transform(feedbackOf),
    prompt: record.transform(({ prompt }) => ({ prompt })),
  },
};
