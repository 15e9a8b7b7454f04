import type { Message } from '../rows.ts';

/** A conversation written as a single text, as in HH-RLHF. */
export interface Transcript {
  messages: Message[];
  /** Whether the text ends with the assistant's marker, so that the answer, with a leading space, is elsewhere. */
  open: boolean;
}

const marker = /\n\n(Human|Assistant):/;

/**
 * Splits a text into turns at the markers `\n\nHuman: ` and `\n\nAssistant: `; undefined if it does not begin with
 * the former.
 */
export function readTranscript(text: string): Transcript | undefined {
  if (!text.startsWith('\n\nHuman:')) return undefined;
  const parts = text.split(marker).slice(1);
  const messages = Array.from(
    { length: parts.length / 2 },
    (_, turn): Message => ({
      role: parts[2 * turn] === 'Human' ? 'user' : 'assistant',
      content: withoutSpace(parts[2 * turn + 1] as string),
    }),
  );
  const last = messages.at(-1) as Message;
  const open = last.role === 'assistant' && last.content === '';
  return { messages: open ? messages.slice(0, -1) : messages, open };
}

/** Removes the single space between a marker and the text of the turn. */
export function withoutSpace(text: string): string {
  return text.startsWith(' ') ? text.slice(1) : text;
}

/** The answer to a prompt, without the leading space if the prompt is a transcript that ends with the marker. */
export function answerTo(prompt: unknown, answer: string): string {
  return typeof prompt === 'string' && prompt.endsWith('\n\nAssistant:') && readTranscript(prompt)
    ? withoutSpace(answer)
    : answer;
}
