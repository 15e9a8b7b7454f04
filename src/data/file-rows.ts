import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { own } from '../config/own.ts';
import { validate } from '../config/validate.ts';
import { type Problem, RequestError } from '../errors.ts';
import type { Format } from './formats/format.ts';
import { detectFormat, formats } from './formats/index.ts';
import { readRecords, type SourceRecord } from './records.ts';
import type { RowOf, TextRow, Use } from './rows.ts';
import { type FileSource, isTextFile } from './source.ts';
import { type Split, splitRows, splitText } from './split.ts';

const shownProblems = 10;

/** The files that a split is read from. */
export function filesOf(source: FileSource, split: Split): readonly string[] {
  return split === 'test' && source.testFiles ? source.testFiles : source.files;
}

/** Reads the rows of a split, none where nothing is held out; everything wrong in the files is one RequestError. */
export async function fileRows<U extends Use>(
  source: FileSource,
  name: string,
  use: U,
  split: Split,
  holdOut: number,
): Promise<readonly RowOf[U][]> {
  const files = filesOf(source, split);
  // A file of held-out rows is taken whole.
  const part = source.testFiles ? 'train' : split;
  if (part === 'test' && holdOut === 0) return [];
  const texts = files.filter(isTextFile);
  if (texts.length > 0 && use !== 'text') {
    const message = `${texts.length === 1 ? 'is plain text' : `holds ${texts.length} plain-text files`}, but ${use} rows are needed`;
    throw new RequestError({ where: name, message, hint: `${use} rows come from .jsonl or .json: ${shapesFor(use)}` });
  }
  const documents = await textRows(texts, part, holdOut);
  const records = files.filter((file) => !isTextFile(file));
  const rows = records.length > 0 ? splitRows(await recordRows(records, source, name, use), part, holdOut) : [];
  return [...(documents as RowOf[U][]), ...rows];
}

/** What the rows of the first file can be used for, nothing where it has no row of a known format. */
export async function fileUses({ files, format: named, columns = {} }: FileSource): Promise<readonly string[]> {
  if (isTextFile(files[0]!)) return ['text'];
  const [first] = await readRecords(files[0]!, []);
  const record = first && renameColumns(first, columns).value;
  if (!record || typeof record !== 'object') return [];
  const format = named ? formats.find(({ name }) => name === named) : detectFormat(record);
  return Object.keys(format?.rows ?? {});
}

async function textRows(files: readonly string[], split: Split, holdOut: number): Promise<TextRow[]> {
  const problems: Problem[] = [];
  const rows: TextRow[] = [];
  for (const file of files) {
    const text = decode(await readFile(file));
    if (text === undefined) {
      problems.push({ where: basename(file), message: 'not UTF-8 text', hint: 'convert it, for instance with iconv' });
    } else if (text.trim() === '') problems.push({ where: basename(file), message: 'the file is empty' });
    else rows.push({ text: splitText(text, split, holdOut) });
  }
  if (problems.length > 0) throw new RequestError(problems);
  return rows;
}

function decode(bytes: Buffer): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

async function recordRows<U extends Use>(
  files: readonly string[],
  source: FileSource,
  name: string,
  use: U,
): Promise<RowOf[U][]> {
  const problems: Problem[] = [];
  const records: SourceRecord[] = [];
  for (const file of files) records.push(...(await readRecords(file, problems)));
  const [first] = records;
  if (!first) {
    throw rowError(problems.length > 0 ? problems : [{ message: 'the dataset is empty: no row in it' }], 0, name);
  }
  const renamed = source.columns ? records.map((record) => renameColumns(record, source.columns ?? {})) : records;
  const format = formatOf(renamed[0] as SourceRecord, source.format, name, use);
  const rows = parseRows(renamed, format, use, problems);
  const together = format.together?.[use]?.(rows);
  if (together) problems.push(together);
  if (problems.length > 0) throw rowError(problems, records.length, name);
  return rows;
}

function renameColumns(record: SourceRecord, columns: Readonly<Record<string, string>>): SourceRecord {
  if (!record.value || typeof record.value !== 'object') return record;
  const original = record.value as Record<string, unknown>;
  const named = Object.entries(columns).map(([column, theirs]) => [column, own(original, theirs)] as const);
  return { ...record, value: { ...original, ...Object.fromEntries(named) } };
}

function formatOf(first: SourceRecord, named: string | undefined, name: string, use: Use): Format {
  const value = first.value;
  const object = value && typeof value === 'object' && !Array.isArray(value) ? value : {};
  const format = named ? formats.find((known) => known.name === named) : detectFormat(object);
  const place = { where: basename(first.file), line: first.line };
  if (!format) {
    const keys =
      Object.keys(object)
        .map((key) => `\`${key}\``)
        .join(', ') || 'no keys';
    const hint = `${use} rows are ${shapesFor(use)}; other names are mapped by \`columns\` in a datasets/NAME.yaml`;
    throw new RequestError({ ...place, message: `the first row has ${keys}, which is no known format`, hint }, name);
  }
  if (format.rows[use]) return format;
  const key = format.keys.find((known) => Object.hasOwn(object, known));
  const reason = named ? 'as its descriptor says' : `because the first row has \`${key}\``;
  const message = `the format is ${format.name}, ${reason}; it gives no ${use} rows`;
  throw new RequestError({ ...place, message, hint: `${use} rows are ${shapesFor(use)}` }, name);
}

function shapesFor(use: Use): string {
  const shapes = formats.filter((format) => format.rows[use]).map(({ shape }) => shape);
  return shapes.join('; or ');
}

function parseRows<U extends Use>(
  records: readonly SourceRecord[],
  format: Format,
  use: U,
  problems: Problem[],
): RowOf[U][] {
  const schema = format.rows[use];
  const rows: RowOf[U][] = [];
  if (!schema) return rows;
  for (const { value, file, row, line } of records) {
    const where = `${basename(file)}, row ${row}`;
    const found = validate<RowOf[U]>(schema, value, {
      where: (path) => (path.length > 0 ? `${where}, \`${path.join('.')}\`` : where),
      line: () => line,
    });
    if (found.value === undefined) problems.push(...found.problems);
    else rows.push(found.value);
  }
  return rows;
}

function rowError(problems: readonly Problem[], rows: number, name: string): RequestError {
  const hidden = problems.length - shownProblems;
  if (hidden <= 0) return new RequestError(problems, name);
  const rest: Problem = { message: `and ${hidden} more problems in ${rows} rows` };
  return new RequestError([...problems.slice(0, shownProblems), rest], name);
}
