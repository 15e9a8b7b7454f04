import { z } from 'zod';
import type { Message } from '../rows.ts';

/** Columns that contain the system turn of a row's conversation. */
export const systemColumns = ['system', 'system_prompt'] as const;

export const systemKeys = { system: z.string().optional(), system_prompt: z.string().optional() };

/** Puts the system turn from a row's column before its conversation, or returns why the two contradict each other. */
export function withSystem(
  { system = '', system_prompt = '' }: { system?: string | undefined; system_prompt?: string | undefined },
  messages: Message[] | string,
): Message[] | string {
  if (typeof messages === 'string') return messages;
  if (system.trim() !== '' && system_prompt.trim() !== '' && system !== system_prompt) {
    return '`system` and `system_prompt` are two different texts';
  }
  const content = system.trim() === '' ? system_prompt : system;
  if (content.trim() === '') return messages;
  const [first] = messages;
  if (first?.role !== 'system') return [{ role: 'system', content }, ...messages];
  return first.content === content ? messages : 'the system column and the system turn of the conversation differ';
}
