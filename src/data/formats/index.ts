import { alpaca } from './alpaca.ts';
import { chat, shareGpt } from './chat.ts';
import { choice } from './choice.ts';
import type { Format } from './format.ts';
import { preference } from './preference.ts';
import { prompt } from './prompt.ts';
import { text } from './text.ts';

/** Every format, the more particular before the more general: the first whose keys a record has is taken. */
export const formats: readonly Format[] = [preference, choice, chat, shareGpt, alpaca, prompt, text];

/** The format of a record, or nothing where no format's keys are all there. */
export function detectFormat(record: object): Format | undefined {
  return formats.find(({ keys }) => keys.every((key) => Object.hasOwn(record, key)));
}
