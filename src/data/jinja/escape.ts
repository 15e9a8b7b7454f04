import type { Budget } from './budget.ts';
import { textOf } from './text-of.ts';
import { Safe, type Value } from './values.ts';

const escapes: ReadonlyMap<string, string> = new Map([
  ['&', '&amp;'],
  ['<', '&lt;'],
  ['>', '&gt;'],
  ["'", '&#39;'],
  ['"', '&#34;'],
]);

/** The text of a value, escaped for HTML as by markupsafe; text marked as safe is not changed. */
export function escaped(value: Value, budget: Budget): string {
  if (value instanceof Safe) return value.text;
  return textOf(value, budget).replace(/[&<>'"]/g, (character) => escapes.get(character)!);
}
