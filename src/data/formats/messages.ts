import { z } from 'zod';
import { isJsonObject } from '../../checkpoint/strict-json.ts';
import type { Message } from '../rows.ts';
import { readTranscript } from './transcript.ts';

const roles: Readonly<Record<string, Message['role']>> = {
  system: 'system',
  user: 'user',
  human: 'user',
  assistant: 'assistant',
  gpt: 'assistant',
};

/** Roles of turns in which a tool is called or responds. */
const toolRoles = [
  'tool',
  'function',
  'ipython',
  'function_call',
  'tool_call',
  'observation',
  'function_response',
  'tool_response',
];

/** Makes a schema from a reader that returns the value, or the reason why it cannot be read. */
export function readAs<T extends object>(reader: (value: unknown) => T | string): z.ZodType<T> {
  return z
    .unknown()
    .optional()
    .transform((value, context) => accept(reader(value), context));
}

/** For transforms of records: passes a value on, or turns a reason into an issue, at a column if one is given. */
export function accept<T extends object>(found: T | string, context: z.RefinementCtx, column?: string): T {
  if (typeof found !== 'string') return found;
  context.addIssue({ code: 'custom', message: found, path: column === undefined ? [] : [column] });
  return z.NEVER;
}

/** A text that is not blank. */
export const filledText = z.string().refine((text) => text.trim() !== '', 'is empty');

/** A message in either spelling: {role, content} or ShareGPT's {from, value}. */
export function readMessage(value: unknown): Message | string {
  if (!isJsonObject(value)) return 'expected a message {role, content} or {from, value}';
  const speaker = value.role ?? value.from;
  if (typeof speaker !== 'string') return 'a message has neither `role` nor `from`';
  const role = Object.hasOwn(roles, speaker) ? roles[speaker] : undefined;
  if (!role) return unknownRole(speaker);
  const content = readContent(value.content ?? value.value);
  if ('problem' in content) return `the ${role}'s message ${content.problem}`;
  const trained = readTrained(value, role);
  if (typeof trained === 'string') return trained;
  return { role, content: content.text, ...(trained ? {} : { trained }) };
}

function unknownRole(speaker: string): string {
  if (toolRoles.includes(speaker)) return `role \`${speaker}\`: turns of tools are not read`;
  return `role \`${speaker}\` is not one of ${Object.keys(roles).join(', ')}`;
}

/** A text, or a list of text parts, which are concatenated as in transformers' templates. */
function readContent(content: unknown): { text: string } | { problem: string } {
  if (typeof content === 'string') return { text: content };
  if (!Array.isArray(content)) return { problem: 'has no text in `content` or `value`' };
  const texts = content.map((part) => (isJsonObject(part) && part.type === 'text' ? part.text : undefined));
  const other = texts.findIndex((text) => typeof text !== 'string');
  if (other < 0) return { text: texts.join('') };
  const part: unknown = content[other];
  const type = isJsonObject(part) && typeof part.type === 'string' ? `of the type \`${part.type}\`` : 'without a type';
  return { problem: `is a list of parts, and part ${other + 1} is ${type}: only parts {type: "text", text} are read` };
}

/** Whether a turn is trained: false for `weight: 0` (OpenAI), `train: false` and `loss: false`. */
function readTrained(message: Readonly<Record<string, unknown>>, role: Message['role']): boolean | string {
  const said: boolean[] = [];
  for (const key of ['weight', 'train', 'loss']) {
    const value = message[key] ?? undefined;
    if (value === undefined) continue;
    if (typeof value !== 'boolean' && value !== 0 && value !== 1) {
      return `\`${key}\` is ${JSON.stringify(value).slice(0, 40)}: only 0 and 1, or false and true, are read`;
    }
    if (role !== 'assistant' && value && key !== 'weight') {
      return `\`${key}\` is ${value} in a turn of the ${role}: only the assistant's turns are trained`;
    }
    said.push(Boolean(value));
  }
  if (new Set(said).size > 1) return '`weight`, `train` and `loss` contradict each other';
  return role !== 'assistant' || (said[0] ?? true);
}

/** A conversation: at least one message, and a system message only at the beginning. */
export function readConversation(value: unknown): Message[] | string {
  if (value === undefined) return 'is missing';
  if (!Array.isArray(value) || value.length === 0) return 'expected a list of messages';
  const messages: Message[] = [];
  for (const [index, item] of value.entries()) {
    const message = readMessage(item);
    if (typeof message === 'string') return `message ${index + 1}: ${message}`;
    if (index > 0 && message.role === 'system') return `message ${index + 1}: a system message after the first message`;
    messages.push(message);
  }
  return messages;
}

/** A prompt: a text, which is a user's message or a transcript, or a conversation that ends with a user's message. */
export function readPrompt(value: unknown): Message[] | string {
  if (value === undefined) return 'is missing';
  if (typeof value === 'string' && value.trim() === '') return 'is empty';
  const messages: Message[] | string =
    typeof value === 'string'
      ? (readTranscript(value)?.messages ?? [{ role: 'user', content: value }])
      : readConversation(value);
  if (typeof messages === 'string') return messages;
  return messages.at(-1)?.role === 'user' ? messages : 'the prompt does not end with a user turn';
}

export const conversation = readAs(readConversation);
export const promptMessages = readAs(readPrompt);

/** The conversation without the assistant's turns before the first question, as FastChat reads ShareGPT files. */
export function fromFirstQuestion(messages: readonly Message[]): Message[] {
  const first = messages.findIndex(({ role }) => role === 'user');
  if (first < 0) return [];
  return [...messages.slice(0, first).filter(({ role }) => role === 'system'), ...messages.slice(first)];
}
