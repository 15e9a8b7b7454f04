import type { z } from 'zod';
import type { Problem } from '../errors.ts';
import { own } from './own.ts';
import { keysAt, schemaKeys } from './schema-keys.ts';
import { suggestion } from './suggest.ts';
import type { Path } from './yaml-file.ts';

type Issue = z.core.$ZodIssue;

/** Where a path of the validated value is in what the user wrote: its name for messages and its line. */
export interface Place {
  where(path: Path): string;
  line?(path: Path): number | undefined;
}

export type Validated<T> = { value: T; problems: readonly [] } | { value?: undefined; problems: readonly Problem[] };

/** Parses a value against a schema; all that is wrong with it comes back as problems, at once. */
export function validate<T>(schema: z.ZodType<T>, value: unknown, place: Place): Validated<T> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return { value: parsed.data, problems: [] };
  return { problems: parsed.error.issues.flatMap((issue) => problemsOf(issue, schema, value, place)) };
}

function problemsOf(issue: Issue, schema: z.ZodType, root: unknown, place: Place): Problem[] {
  const path = issue.path.map((step) => (typeof step === 'number' ? step : String(step)));
  if (issue.code === 'unrecognized_keys') {
    const known = keysAt(schema, path);
    return issue.keys.map((key) => located(place, [...path, key], 'unknown key', suggestion(key, known)));
  }
  const found = valueAt(root, path);
  if (issue.code === 'custom') return [located(place, path, issue.message, hintOf(issue))];
  if (found === undefined) {
    return [located(place, path, `is missing; expected ${expectation(issue)}`, describe(schema, path))];
  }
  const hint =
    issue.code === 'invalid_value' && typeof found === 'string'
      ? suggestion(found, issue.values.map(String))
      : describe(schema, path);
  return [located(place, path, `found ${shown(found)}, expected ${expectation(issue)}`, hint)];
}

function located(place: Place, path: Path, message: string, hint: string | undefined): Problem {
  const line = place.line?.(path);
  return { where: place.where(path), message, ...(line === undefined ? {} : { line }), ...(hint ? { hint } : {}) };
}

function valueAt(root: unknown, path: Path): unknown {
  return path.reduce<unknown>(
    (value, step) => (Object(value) === value ? own(value as Record<string, unknown>, step) : undefined),
    root,
  );
}

/** The `params: { hint }` that a schema's custom check may pass. */
function hintOf(issue: Issue & { code: 'custom' }): string | undefined {
  const hint: unknown = issue.params?.hint;
  return typeof hint === 'string' ? hint : undefined;
}

function describe(schema: z.ZodType, path: Path): string | undefined {
  return schemaKeys(schema).find(({ name }) => path.length === 1 && name === path[0])?.description || undefined;
}

function shown(value: unknown): string {
  if (value === null) return 'nothing';
  const text = JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 57)}…` : text;
}

function expectation(issue: Issue): string {
  switch (issue.code) {
    case 'invalid_type':
      return typeNames[issue.expected] ?? issue.expected;
    case 'invalid_value':
      return issue.values.length === 1 ? String(issue.values[0]) : `one of ${issue.values.join(', ')}`;
    case 'too_small':
      return `${issue.inclusive ? 'at least' : 'more than'} ${issue.minimum}${units[issue.origin] ?? ''}`;
    case 'too_big':
      return `${issue.inclusive ? 'at most' : 'less than'} ${issue.maximum}${units[issue.origin] ?? ''}`;
    case 'not_multiple_of':
      return `a multiple of ${issue.divisor}`;
    case 'invalid_format':
      return issue.pattern && issue.message.startsWith('Invalid')
        ? `text that matches ${issue.pattern}`
        : issue.message;
    case 'invalid_union':
      return [...new Set(issue.errors.flatMap((issues) => issues.map(expectation)))].join(' or ') || issue.message;
    default:
      return issue.message;
  }
}

const typeNames: Readonly<Record<string, string>> = {
  int: 'a whole number',
  number: 'a number',
  string: 'text',
  boolean: 'true or false',
  array: 'a list',
  object: 'keys with values',
  record: 'keys with values',
};

const units: Readonly<Record<string, string>> = { string: ' characters', array: ' items' };
