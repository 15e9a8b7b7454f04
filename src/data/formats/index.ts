import type { Use } from '../rows.ts';
import { alpaca } from './alpaca.ts';
import { chat, shareGpt } from './chat.ts';
import { choice } from './choice.ts';
import type { Format } from './format.ts';
import { preference } from './preference.ts';
import { prompt } from './prompt.ts';
import { text } from './text.ts';
import { unpaired } from './unpaired.ts';

/** Every format, the more particular before the more general. */
export const formats: readonly Format[] = [preference, unpaired, choice, chat, shareGpt, alpaca, prompt, text];

/**
 * The first format of which a record has a key, so that a row of it with a key missing is told what is missing; with a
 * use, one that gives such rows goes before one that does not.
 */
export function detectFormat(record: object, use?: Use): Format | undefined {
  const found = formats.filter(({ keys }) => keys.some((key) => Object.hasOwn(record, key)));
  return found.find(({ rows }) => use !== undefined && rows[use]) ?? found[0];
}
