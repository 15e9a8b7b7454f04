import { createReadStream } from 'node:fs';
import { open, readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { createInterface } from 'node:readline';
import type { Problem } from '../errors.ts';

/** One value of a JSON list or one line of a JSONL file, before a format has looked at it. */
export interface SourceRecord {
  value: unknown;
  file: string;
  /** 1-based, within the file. */
  row: number;
  /** 1-based line where the record starts. */
  line: number;
}

/** The records of a `.json` or `.jsonl` file; what cannot be parsed goes to `problems`, and reading goes on. */
export async function readRecords(file: string, problems: Problem[]): Promise<SourceRecord[]> {
  return (await firstCharacter(file)) === '[' ? readList(file, problems) : readLines(file, problems);
}

async function firstCharacter(file: string): Promise<string | undefined> {
  const handle = await open(file);
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(4096), 0, 4096, 0);
    return withoutByteOrderMark(buffer.toString('utf8', 0, bytesRead)).trimStart()[0];
  } finally {
    await handle.close();
  }
}

async function readLines(file: string, problems: Problem[]): Promise<SourceRecord[]> {
  const records: SourceRecord[] = [];
  let line = 0;
  let row = 0;
  for await (const raw of createInterface({ input: createReadStream(file, 'utf8'), crlfDelay: Infinity })) {
    line++;
    const text = line === 1 ? withoutByteOrderMark(raw) : raw;
    if (text.trim() !== '') parseInto(records, problems, text, { file, row: ++row, line });
  }
  return records;
}

async function readList(file: string, problems: Problem[]): Promise<SourceRecord[]> {
  const text = withoutByteOrderMark(await readFile(file, 'utf8'));
  const records: SourceRecord[] = [];
  const { spans, unclosed } = elementSpans(text);
  let line = 1;
  let counted = 0;
  const lineOf = (offset: number) => {
    for (; counted < offset; counted++) if (text.charCodeAt(counted) === newline) line++;
    return line;
  };
  for (const [index, [start, end]] of spans.entries()) {
    parseInto(records, problems, text.slice(start, end), { file, row: index + 1, line: lineOf(start) });
  }
  if (unclosed !== undefined) {
    const message = `the JSON list is not closed: what starts in line ${lineOf(unclosed)} has no end`;
    problems.push({
      where: basename(file),
      line: lineOf(unclosed),
      message,
      hint: 'the file may be cut off, or a `"`, `}` or `]` is missing',
    });
  }
  return records;
}

function parseInto(
  records: SourceRecord[],
  problems: Problem[],
  text: string,
  place: Omit<SourceRecord, 'value'>,
): void {
  try {
    records.push({ value: JSON.parse(text), ...place });
  } catch (error) {
    const reason = (error as SyntaxError).message;
    const position = Number(/at position (\d+)/.exec(reason)?.[1] ?? 0);
    const breaks = text.slice(0, position).split('\n').length - 1;
    problems.push({
      where: `${basename(place.file)}, row ${place.row}`,
      line: place.line + breaks,
      message: `broken JSON: ${reason}`,
    });
  }
}

const newline = '\n'.charCodeAt(0);
const quote = '"'.charCodeAt(0);
const backslash = '\\'.charCodeAt(0);
const comma = ','.charCodeAt(0);
const openings = new Set(['[', '{'].map((bracket) => bracket.charCodeAt(0)));
const closings = new Set([']', '}'].map((bracket) => bracket.charCodeAt(0)));

/**
 * Where the elements of a JSON list start and end, so that each can be parsed, and fail, by itself.
 * `unclosed` is where the element without an end starts.
 */
function elementSpans(text: string): { spans: [number, number][]; unclosed: number | undefined } {
  const spans: [number, number][] = [];
  let depth = 0;
  let start = 0;
  const take = (end: number) => {
    const leading = text.slice(start, end).search(/\S/);
    if (leading >= 0) spans.push([start + leading, end]);
    start = end + 1;
  };
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === quote) i = closingQuote(text, i);
    else if (openings.has(code)) {
      if (++depth === 1) start = i + 1;
    } else if (closings.has(code)) {
      if (--depth > 0) continue;
      take(i);
      return { spans, unclosed: undefined };
    } else if (code === comma && depth === 1) take(i);
  }
  return { spans, unclosed: Math.min(start + Math.max(0, text.slice(start).search(/\S/)), text.length) };
}

function closingQuote(text: string, opening: number): number {
  for (let i = opening + 1; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === backslash) i++;
    else if (code === quote) return i;
  }
  return text.length;
}

function withoutByteOrderMark(text: string): string {
  return text.startsWith('\uFEFF') ? text.slice(1) : text;
}
