import type { Message } from '../rows.ts';

/** A conversation that is written as one text, as in HH-RLHF. */
export interface Transcript {
  messages: Message[];
  /** True where the text ends with the assistant's marker, so that its answer, space first, stands elsewhere. */
  open: boolean;
}

const marker = /\n\n(Human|Assistant):/;

/**
 * Takes apart a text whose turns are marked by `\n\nHuman: ` and `\n\nAssistant: `; nothing where it does not begin so.
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

/** A text without the one space that stands between a marker and what is said. */
export function withoutSpace(text: string): string {
  return text.startsWith(' ') ? text.slice(1) : text;
}

/**
 * The answer to a prompt: where the prompt is a transcript that ends with the marker, the space after it is not said.
 */
export function answerTo(prompt: unknown, answer: string): string {
  return typeof prompt === 'string' && prompt.endsWith('\n\nAssistant:') && readTranscript(prompt)
    ? withoutSpace(answer)
    : answer;
}
