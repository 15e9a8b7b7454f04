import type { Use } from '../rows.ts';
import { alpaca } from './alpaca.ts';
import { chat, shareGpt } from './chat.ts';
import { choice } from './choice.ts';
import type { Format } from './format.ts';
import { preference } from './preference.ts';
import { prompt } from './prompt.ts';
import { text } from './text.ts';
import { unpaired } from './unpaired.ts';

/** All formats, the more specific ones before the more general ones. */
export const formats: readonly Format[] = [preference, unpaired, choice, chat, shareGpt, alpaca, prompt, text];

/**
 * The first format of which a record has any key, so that the message for an incomplete record can say what is missing.
 * Formats that have rows for `use` take precedence.
 */
export function detectFormat(record: object, use?: Use): Format | undefined {
  const found = formats.filter(({ keys }) => keys.some((key) => Object.hasOwn(record, key)));
  return found.find(({ rows }) => use !== undefined && rows[use]) ?? found[0];
}
