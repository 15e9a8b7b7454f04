import { basename } from 'node:path';
import { isJsonObject } from '../checkpoint/strict-json.ts';
import { own } from '../config/own.ts';
import { closest } from '../config/suggest.ts';
import type { Problem } from '../errors.ts';
import type { Format } from './formats/format.ts';
import type { SourceRecord } from './records.ts';
import type { Use } from './rows.ts';

/** The keys of a message that are read. */
const messageKeys = new Set(['role', 'from', 'content', 'value', 'weight', 'train', 'loss']);

interface Meaning {
  /** What the key contains. */
  is: string;
  /** The uses for which it changes the meaning; default: all except text. */
  uses?: readonly Use[];
  /** Whether it changes the meaning only inside messages. */
  inMessages?: boolean;
}

const pairs: readonly Use[] = ['preference', 'feedback'];
const offered = { is: 'functions that the model may call' };
const called = { is: 'a call of a function' };
const thought = { is: "the assistant's thoughts before its answer" };
const media = { is: 'no text' };
const better = { is: 'which answer is better', uses: pairs };

/** Keys that change the meaning of a row and that no format reads. Rows with such a key are refused. */
const meanings: Readonly<Record<string, Meaning>> = {
  tools: offered,
  functions: offered,
  tool_calls: called,
  tool_call_id: called,
  function_call: called,
  function_calls: called,
  reasoning_content: thought,
  thinking: thought,
  reasoning: { ...thought, inMessages: true },
  thought: { ...thought, inMessages: true },
  refusal: { is: 'what the assistant says in place of `content`', inMessages: true },
  name: { is: 'who speaks', inMessages: true },
  chat_template: { is: "a template other than the model's" },
  chat_template_kwargs: { is: 'further arguments of the chat template' },
  documents: { is: 'further arguments of the chat template' },
  history: { is: 'the conversation before this one' },
  images: media,
  image: media,
  videos: media,
  video: media,
  audios: media,
  audio: media,
  weight: { is: 'the weight of the row' },
  train: { is: 'whether the row is trained on' },
  margin: { is: 'by how much `chosen` is better', uses: pairs },
  label: better,
  labels: better,
  preference: better,
  winner: better,
};

/** Whether a value is empty, or what exporters write for an empty one. */
function saysNothing(value: unknown): boolean {
  if (value === null || value === undefined) return true;
  if (typeof value === 'string') return ['', '[]', '{}', 'null'].includes(value.trim());
  if (Array.isArray(value)) return value.length === 0;
  return typeof value === 'object' && Object.values(value).every(saysNothing);
}

/** Whether a key only states the default: weight 1, and trained. */
const saysUsual = (key: string, value: unknown) =>
  (key === 'weight' && value === 1) || (key === 'train' && value === true);

/** The record without its null columns; `datasets` and pandas write null if a row lacks a column. */
export function withoutNulls(record: SourceRecord): SourceRecord {
  const entries = Object.entries(record.value);
  const given = entries.filter(([, value]) => value !== null);
  return given.length === entries.length ? record : { ...record, value: Object.fromEntries(given) };
}

/**
 * Renames columns of the file to those of a format. A renamed column is not read under its own name, too.
 */
export function moveColumns(record: SourceRecord, columns: Readonly<Record<string, string>>): SourceRecord {
  const sources = new Set(Object.values(columns));
  if (sources.size === 0) return record;
  const kept = Object.entries(record.value).filter(([key]) => !sources.has(key) && !Object.hasOwn(columns, key));
  const moved = Object.entries(columns).filter(([, source]) => Object.hasOwn(record.value, source));
  const value = Object.fromEntries([
    ...kept,
    ...moved.map(([column, source]) => [column, record.value[source]] as const),
  ]);
  return { ...record, value };
}

/** The columns that occur in any of the records. */
export function columnsOf(records: readonly SourceRecord[]): ReadonlySet<string> {
  const there = new Set<string>();
  for (const { value } of records) for (const key of Object.keys(value)) there.add(key);
  return there;
}

/** Columns of the file that are not read because another one is mapped to their name. */
export function replacedColumns(there: ReadonlySet<string>, columns: Readonly<Record<string, string>>): string[] {
  const sources = Object.values(columns);
  return Object.keys(columns).filter((column) => there.has(column) && !sources.includes(column));
}

/** Problems with mapped columns that no record has, because they are misspelt or nested inside another column. */
export function absentColumns(there: ReadonlySet<string>, columns: Readonly<Record<string, string>>): Problem[] {
  return Object.entries(columns)
    .filter(([, source]) => !there.has(source))
    .map(([column, source]) => {
      const [outer = ''] = source.split(/[.[]/);
      const meant = closest(source, [...there]);
      const hint =
        outer !== source && there.has(outer)
          ? `nested columns are not read: write ${source} to a separate column`
          : meant === undefined
            ? `the file has ${[...there]
                .slice(0, 12)
                .map((key) => `\`${key}\``)
                .join(', ')}`
            : `did you mean \`${meant}\`?`;
      return { where: `columns.${column}`, message: `the file has no column \`${source}\``, hint };
    });
}

/** A key that no format reads and that changes the meaning of a row. */
interface Refused {
  key: string;
  /** The key with its column and the number of its message. */
  path: string;
  is: string;
}

/** Collects the keys that a format does not read: those that may be ignored are named, the others are refused. */
export class UnreadColumns {
  readonly names = new Set<string>();
  readonly #format: Format;
  readonly #use: Use;
  readonly #ignored: ReadonlySet<string>;
  readonly #refused = new Map<string, { problem: Problem; rows: number }>();

  /** @param ignored keys that a descriptor says to ignore */
  constructor(format: Format, use: Use, ignored: readonly string[]) {
    this.#format = format;
    this.#use = use;
    this.#ignored = new Set(ignored);
  }

  /** Notes the unread keys of a record; returns whether the record must be refused. */
  note(record: SourceRecord): boolean {
    const refused = Object.entries(record.value).flatMap(([key, value]) =>
      this.#format.columns.includes(key)
        ? this.#inMessages(key, value)
        : this.#at(key, value, { path: key, name: key }),
    );
    for (const key of new Set(refused.map(({ key }) => key)))
      this.#refuse(refused.find((one) => one.key === key)!, record);
    return refused.length > 0;
  }

  /** One problem for each refused key. */
  problems(rows: number): Problem[] {
    return [...this.#refused.values()].map(({ problem, rows: having }) => ({
      ...problem,
      message: `${problem.message} (in ${having} of ${rows} rows)`,
    }));
  }

  #inMessages(column: string, value: unknown): Refused[] {
    if (typeof value !== 'object') return [];
    const messages = Array.isArray(value) ? value : [value];
    return messages.flatMap((message: unknown, index) => {
      if (!isJsonObject(message) || !(Object.hasOwn(message, 'role') || Object.hasOwn(message, 'from'))) return [];
      const place = Array.isArray(value) ? `${column}.${index}` : column;
      return Object.entries(message).flatMap(([key, child]) =>
        messageKeys.has(key) ? [] : this.#at(key, child, { path: `${place}.${key}`, name: `${column}.${key}` }),
      );
    });
  }

  #at(key: string, value: unknown, { path, name }: { path: string; name: string }): Refused[] {
    if (saysNothing(value) || this.#ignored.has(key)) return [];
    const meaning = own(meanings, key);
    const changes =
      meaning !== undefined &&
      this.#use !== 'text' &&
      (meaning.uses === undefined || meaning.uses.includes(this.#use)) &&
      (path !== key || !meaning.inMessages) &&
      !saysUsual(key, value);
    if (changes) return [{ key, path, is: meaning.is }];
    this.names.add(name);
    return [];
  }

  #refuse({ key, path, is }: Refused, { file, row, line }: SourceRecord): void {
    const known = this.#refused.get(key);
    if (known) {
      known.rows++;
      return;
    }
    const message = `is not supported, and would change the meaning of the row: ${is}`;
    const hint = `write the rows without \`${key}\`, or have it ignored with \`ignore: [${key}]\` in a datasets/NAME.yaml`;
    const problem = { where: `${basename(file)}, row ${row}, \`${path}\``, line, message, hint };
    this.#refused.set(key, { problem, rows: 1 });
  }
}
