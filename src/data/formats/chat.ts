import { z } from 'zod';
import type { Message, MessagesRow, PromptRow } from '../rows.ts';
import type { Format } from './format.ts';
import { accept, conversation, fromFirstQuestion } from './messages.ts';

/** A conversation to train on. */
function trained(messages: Message[]): MessagesRow | string {
  if (!messages.some(({ role }) => role === 'assistant')) return 'no assistant turn: nothing would be trained';
  if (messages[0]?.role === 'assistant') return 'the conversation begins with the assistant';
  return { messages };
}

/** The conversation up to its last question; the assistant's turn behind it is the answer. */
function asked(messages: Message[]): PromptRow | string {
  const last = messages.findLastIndex(({ role }) => role === 'user');
  if (last < 0) return 'no user turn: there is nothing to answer';
  const answer = messages[last + 1]?.content;
  return { prompt: messages.slice(0, last + 1), ...(answer === undefined ? {} : { answer }) };
}

const chatRow = z.object({ messages: conversation });

/** Chat messages, as OpenAI's and TRL's files have them. */
export const chat: Format = {
  name: 'chat',
  shape: '{messages: [{role, content}, …]}',
  keys: ['messages'],
  columns: ['messages'],
  rows: {
    messages: chatRow.transform(({ messages }, context) => accept(trained(messages), context)),
    prompt: chatRow.transform(({ messages }, context) => accept(asked(messages), context)),
  },
};

const shareGptRow = z
  .object({ conversations: conversation })
  .transform(({ conversations }) => fromFirstQuestion(conversations));

/** ShareGPT and Vicuna files. */
export const shareGpt: Format = {
  name: 'sharegpt',
  shape: '{conversations: [{from: human | gpt, value}, …]}',
  keys: ['conversations'],
  columns: ['conversations'],
  rows: {
    messages: shareGptRow.transform((messages, context) => accept(trained(messages), context)),
    prompt: shareGptRow.transform((messages, context) => accept(asked(messages), context)),
  },
};
