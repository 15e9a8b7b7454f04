import { basename } from 'node:path';
import { validate } from '../config/validate.ts';
import { type Problem, RequestError } from '../errors.ts';
import { readTextFile } from '../files.ts';
import { absentColumns, columnsOf, moveColumns, replacedColumns, UnreadColumns, withoutNulls } from './columns.ts';
import { isTextFile } from './folder.ts';
import type { Format } from './formats/format.ts';
import { detectFormat, formats } from './formats/index.ts';
import { publicShapeProblem } from './public-shapes.ts';
import { firstRecord, readRecords, type SourceRecord } from './records.ts';
import type { Reading, RowOf, TextRow, Use } from './rows.ts';
import type { FileSource } from './source.ts';
import { type Split, splitRows, splitText } from './split.ts';

/** Number of problems that are shown; further ones are only counted. */
const shownProblems = 10;

/** Limit on the size of a text file in bytes, below the maximum length of a JavaScript string. */
const textLimit = 500 * 2 ** 20;

interface FileRows<U extends Use> {
  rows: readonly RowOf[U][];
  reading: Reading;
}

/** The files that a split is read from. */
export function filesOf(source: FileSource, split: Split): readonly string[] {
  return split === 'test' && source.testFiles ? source.testFiles : source.files;
}

/** Reads the rows of a split. @throws RequestError with everything that is wrong with the files */
export async function fileRows<U extends Use>(
  source: FileSource,
  name: string,
  use: U,
  split: Split,
  holdOut: number,
): Promise<FileRows<U>> {
  const files = filesOf(source, split);
  const nothing: Reading = { unreadColumns: [], skippedFiles: source.skipped, remarks: [] };
  // If there are files of held-out rows, these are used in full.
  const part = source.testFiles ? 'train' : split;
  if (part === 'test' && holdOut === 0) return { rows: [], reading: nothing };
  const texts = files.filter(isTextFile);
  if (texts.length > 0 && use !== 'text') {
    const message = `${texts.length === 1 ? 'is plain text' : `has ${texts.length} plain-text files`}, but ${use} rows are needed`;
    throw new RequestError({ where: name, message, hint: `${use} rows come from .jsonl or .json: ${shapesFor(use)}` });
  }
  const documents = (await textRows(texts, part, holdOut)) as RowOf[U][];
  const records = files.filter((file) => !isTextFile(file));
  if (records.length === 0) return { rows: documents, reading: nothing };
  const { rows, format, evidence, unreadColumns } = await recordRows(records, source, name, use);
  const taken = splitRows(rows, part, holdOut);
  const remark = format.remark?.[use]?.(taken);
  return {
    rows: [...documents, ...taken],
    reading: {
      format: { name: format.name, evidence },
      unreadColumns,
      skippedFiles: source.skipped,
      remarks: remark === undefined ? [] : [remark],
    },
  };
}

/** The uses of the rows of the first file; none if its first row has no known format. */
export async function fileUses({ files, format: named, columns = {} }: FileSource): Promise<readonly string[]> {
  if (isTextFile(files[0]!)) return ['text'];
  const first = await firstRecord(files[0]!);
  if (!first) return [];
  const record = withoutNulls(moveColumns(first, columns)).value;
  const format = named ? formats.find(({ name }) => name === named) : detectFormat(record);
  return Object.keys(format?.rows ?? {});
}

async function textRows(files: readonly string[], split: Split, holdOut: number): Promise<TextRow[]> {
  const findings = new Findings();
  const rows: TextRow[] = [];
  for (const file of files) {
    const where = basename(file);
    try {
      const text = (await readTextFile(file, { name: where, limit: textLimit })) ?? '';
      if (text.trim() === '') findings.add({ where, message: 'the file is empty' });
      else rows.push({ text: splitText(text, split, holdOut) });
    } catch (error) {
      if (!(error instanceof RequestError)) throw error;
      for (const problem of error.problems) findings.add(problem);
    }
  }
  findings.throwIfAny(`in ${files.length} files`);
  return rows;
}

async function recordRows<U extends Use>(
  files: readonly string[],
  source: FileSource,
  name: string,
  use: U,
): Promise<{ rows: RowOf[U][]; format: Format; evidence: string; unreadColumns: string[] }> {
  const findings = new Findings();
  const read: SourceRecord[] = [];
  for (const file of files) {
    for await (const record of readRecords(file, (problem) => findings.add(problem))) read.push(record);
  }
  const inRows = `in ${read.length} rows`;
  if (read.length === 0) findings.throwIfAny(inRows, name);
  const { columns = {} } = source;
  const there = columnsOf(read);
  const absent = absentColumns(there, columns);
  if (absent.length > 0) throw new RequestError(absent, source.descriptor);
  const records = read.map((record) => withoutNulls(moveColumns(record, columns)));
  const { format, evidence } = formatOf(records[0] as SourceRecord, source, name, use);
  const unread = new UnreadColumns(format, use, source.ignore ?? []);
  const why = source.format === undefined ? `the file is read as ${format.name}, because ${evidence}` : undefined;
  const rows = parseRows(records, format, use, unread, findings, why);
  const together = findings.none ? format.together?.[use]?.(rows) : undefined;
  if (together) findings.add(together);
  findings.throwIfAny(inRows, name);
  return { rows, format, evidence, unreadColumns: [...replacedColumns(there, columns), ...unread.names] };
}

function formatOf(
  first: SourceRecord,
  { format: named, descriptor }: FileSource,
  name: string,
  use: Use,
): { format: Format; evidence: string } {
  const record = first.value;
  const format = named ? formats.find((known) => known.name === named) : detectFormat(record, use);
  const place = { where: basename(first.file), line: first.line };
  const known = named === undefined && publicShapeProblem(record, use, first.file);
  if (known) throw new RequestError({ ...place, ...known }, name);
  if (!format) {
    const keys = Object.keys(record).map((key) => `\`${key}\``);
    const message = `the first row has ${keys.slice(0, 12).join(', ') || 'no keys'}, which is not a known format`;
    const hint = `${use} rows are ${shapesFor(use)}; other names are mapped by \`columns\` in a datasets/NAME.yaml`;
    throw new RequestError({ ...place, message, hint }, name);
  }
  const key = format.keys.find((known) => Object.hasOwn(record, known));
  const evidence = named ? `${descriptor} says so` : `the first row has \`${key}\``;
  if (format.rows[use]) return { format, evidence };
  const message = `the format is ${format.name}, because ${evidence}; it has no ${use} rows`;
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
  unread: UnreadColumns,
  findings: Findings,
  why: string | undefined,
): RowOf[U][] {
  const schema = format.rows[use];
  const rows: RowOf[U][] = [];
  if (!schema) return rows;
  const read = records.filter((record) => !unread.note(record));
  for (const problem of unread.problems(records.length)) findings.add(problem);
  for (const { value, file, row, line } of read) {
    const where = `${basename(file)}, row ${row}`;
    const found = validate<RowOf[U]>(schema, value, {
      where: (path) => (path.length > 0 ? `${where}, \`${path.join('.')}\`` : where),
      line: () => line,
    });
    if (found.value !== undefined) rows.push(found.value);
    else for (const problem of found.problems) findings.add(why && !problem.hint ? { ...problem, hint: why } : problem);
    // The reason for the format is given only once.
    if (found.value === undefined) why = undefined;
  }
  return rows;
}

/** Collects problems but keeps only the first ones, because every row of a large file may be wrong. */
class Findings {
  readonly #shown: Problem[] = [];
  #hidden = 0;

  get none(): boolean {
    return this.#shown.length === 0;
  }

  add(problem: Problem): void {
    if (this.#shown.length < shownProblems) this.#shown.push(problem);
    else this.#hidden++;
  }

  throwIfAny(among: string, subject?: string): void {
    if (this.#shown.length === 0) return;
    const rest = this.#hidden > 0 ? [{ message: `and ${this.#hidden} more problems ${among}` }] : [];
    throw new RequestError([...this.#shown, ...rest], subject);
  }
}
