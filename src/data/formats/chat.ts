import { z } from 'zod';
import type { Message, MessagesRow, PromptRow } from '../rows.ts';
import type { Format } from './format.ts';
import { accept, conversation, fromFirstQuestion } from './messages.ts';
import { systemColumns, systemKeys, withSystem } from './system.ts';

/** A conversation to train on. */
function trained(messages: Message[] | string): MessagesRow | string {
  if (typeof messages === 'string') return messages;
  const spoken = messages.filter(({ role }) => role === 'assistant');
  if (spoken.length === 0) return 'no assistant turn: there would be nothing to train on';
  if (spoken.every(({ trained }) => trained === false))
    return 'no assistant turn is trained: all are marked as context';
  if (messages.find(({ role }) => role !== 'system')?.role === 'assistant')
    return 'the conversation begins with the assistant';
  return { messages };
}

/**
 * The conversation up to its last question. The assistant's next turn is the reference answer, unless it is marked as
 * not trained.
 */
function asked(messages: Message[] | string): PromptRow | string {
  if (typeof messages === 'string') return messages;
  const last = messages.findLastIndex(({ role }) => role === 'user');
  if (last < 0) return 'no user turn: there is nothing to answer';
  const answer = messages[last + 1];
  const isRight = answer !== undefined && answer.trained !== false;
  return { prompt: messages.slice(0, last + 1), ...(isRight ? { answer: answer.content } : {}) };
}

/** A remark if some rows end with a question that is not answered. */
function openEnds(rows: readonly MessagesRow[]): string | undefined {
  const open = rows.filter(({ messages }) => messages.at(-1)?.role === 'user').length;
  return open === 0 ? undefined : `${open} of ${rows.length} rows end with a user turn, which is not trained on`;
}

function unanswered(rows: readonly PromptRow[]): string | undefined {
  const open = rows.filter(({ answer }) => answer === undefined).length;
  return open === 0 ? undefined : `${open} of ${rows.length} rows end with a user turn: prompts without an answer`;
}

const remark = { messages: openEnds, prompt: unanswered };

const chatRow = z.object({ messages: conversation, ...systemKeys }).transform((row) => withSystem(row, row.messages));

/** Chat messages as in OpenAI's and TRL's files. */
export const chat: Format = {
  name: 'chat',
  shape: '{messages: [{role, content}, …]}',
  keys: ['messages'],
  columns: ['messages', ...systemColumns],
  rows: {
    messages: chatRow.transform((messages, context) => accept(trained(messages), context)),
    prompt: chatRow.transform((messages, context) => accept(asked(messages), context)),
  },
  remark,
};

const shareGptRow = z
  .object({ conversations: conversation, ...systemKeys })
  .transform((row) => withSystem(row, fromFirstQuestion(row.conversations)));

/** ShareGPT and Vicuna files. */
export const shareGpt: Format = {
  name: 'sharegpt',
  shape: '{conversations: [{from: human | gpt, value}, …]}',
  keys: ['conversations'],
  columns: ['conversations', ...systemColumns],
  rows: {
    messages: shareGptRow.transform((messages, context) => accept(trained(messages), context)),
    prompt: shareGptRow.transform((messages, context) => accept(asked(messages), context)),
  },
  remark,
};
