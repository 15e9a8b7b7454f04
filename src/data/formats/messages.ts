import { z } from 'zod';
import type { Message } from '../rows.ts';

const roles: Readonly<Record<string, Message['role']>> = {
  system: 'system',
  user: 'user',
  human: 'user',
  assistant: 'assistant',
  gpt: 'assistant',
};

/** A schema out of a reader that returns the value, or the reason why it cannot be read. */
export function readAs<T extends object>(reader: (value: unknown) => T | string): z.ZodType<T> {
  return z
    .unknown()
    .optional()
    .transform((value, context) => accept(reader(value), context));
}

/** Passes a value on and turns a reason into an issue; for the transforms of records. */
export function accept<T extends object>(found: T | string, context: z.RefinementCtx): T {
  if (typeof found !== 'string') return found;
  context.addIssue({ code: 'custom', message: found });
  return z.NEVER;
}

/** A message in either spelling: {role, content} or ShareGPT's {from, value}. */
export function readMessage(value: unknown): Message | string {
  if (!value || typeof value !== 'object') return 'expected a message {role, content} or {from, value}';
  const speaker: unknown = Reflect.get(value, 'role') ?? Reflect.get(value, 'from');
  const content: unknown = Reflect.get(value, 'content') ?? Reflect.get(value, 'value');
  if (typeof speaker !== 'string') return 'a message has neither `role` nor `from`';
  const role = Object.hasOwn(roles, speaker) ? roles[speaker] : undefined;
  if (!role) return `role \`${speaker}\` is none of ${Object.keys(roles).join(', ')}`;
  if (typeof content !== 'string') return `the ${role}'s message has no text in \`content\` or \`value\``;
  return { role, content };
}

/** A conversation as it stands: at least one message, a system message only in front. */
export function readConversation(value: unknown): Message[] | string {
  if (value === undefined) return 'is missing';
  if (!Array.isArray(value) || value.length === 0) return 'expected a list of messages';
  const messages: Message[] = [];
  for (const [index, item] of value.entries()) {
    const message = readMessage(item);
    if (typeof message === 'string') return `message ${index + 1}: ${message}`;
    if (index > 0 && message.role === 'system')
      return `message ${index + 1}: a system message behind the first message`;
    messages.push(message);
  }
  return messages;
}

/** A prompt: one text, which is a user's message, or a conversation that ends with a user's message. */
export function readPrompt(value: unknown): Message[] | string {
  if (value === undefined) return 'is missing';
  if (value === '') return 'is empty';
  const messages: Message[] | string =
    typeof value === 'string' ? [{ role: 'user', content: value }] : readConversation(value);
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
