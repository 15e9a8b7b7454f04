import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { z } from 'zod';
import { parseJson } from '../config/json.ts';
import { linesOf } from '../data/record-splitting.ts';
import { type SpentBudget, spentSchema } from '../training/budget.ts';

const recordSchema = z.looseObject({ type: z.string(), step: z.int().nonnegative() });

/** One line of metrics.jsonl; docs/architecture.md describes the types of record. */
export type MetricsRecord = z.infer<typeof recordSchema>;

const ended = { step: z.int().nonnegative(), seconds: z.number().default(0) };

const endingSchema = z.discriminatedUnion('type', [
  z.looseObject({ type: z.literal('done'), ...ended }),
  z.looseObject({ type: z.literal('stopped'), ...ended, reason: z.string().default('') }),
  /** `refused`: the request was wrong, and nothing was done; `diverged`: the same run would fail again. */
  z.looseObject({
    type: z.literal('failed'),
    ...ended,
    message: z.string().default(''),
    refused: z.boolean().optional(),
    diverged: z.boolean().optional(),
  }),
]);

/** The last record of a run that ended and was able to record it. */
export type Ending = z.infer<typeof endingSchema>;

const endings: ReadonlySet<string> = new Set(endingSchema.options.map(({ shape }) => shape.type.value));

export const isEnding = ({ type }: MetricsRecord): boolean => endings.has(type);

/** How a run ended according to its records; undefined if it is still running or ended without recording it. */
export function endingOf(records: readonly MetricsRecord[]): Ending | undefined {
  return endingSchema.safeParse(records.at(-1)).data;
}

/** Fields of records that count rather than measure. */
export const counters: ReadonlySet<string> = new Set(['step', 'totalSteps', 'seconds', 'tokens', 'trainedTokens']);

/** The first and the last measurements on held-out rows. */
export interface HeldOut {
  first: Readonly<Record<string, unknown>>;
  last: Readonly<Record<string, unknown>>;
}

export function heldOutOf(records: readonly MetricsRecord[]): HeldOut | undefined {
  const measured = records
    .filter(({ type }) => type === 'eval')
    .map(({ type: _type, seconds: _seconds, ...metrics }) => metrics);
  return measured.length === 0 ? undefined : { first: measured[0]!, last: measured.at(-1)! };
}

/** What training has spent, of a run that has ended and has recorded it. */
export function budgetOf(records: readonly MetricsRecord[]): SpentBudget | undefined {
  const done = records.findLast(({ type }) => type === 'done');
  return spentSchema.safeParse(done?.budget).data;
}

/** The records of a log; none if there is no file. Skips lines that are not records, such as one cut off by a crash. */
export async function readRecords(file: string): Promise<MetricsRecord[]> {
  const records: MetricsRecord[] = [];
  try {
    for await (const { bytes } of linesOf(createReadStream(file) as AsyncIterable<Buffer>)) {
      records.push(...recordsOf(bytes));
    }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'ENOENT' && code !== 'ENOTDIR') throw error;
  }
  return records;
}

/** Follows a log that another process writes: each call returns the records appended since the previous call. */
export function followRecords(file: string): () => Promise<MetricsRecord[]> {
  let offset = 0;
  let rest = Buffer.alloc(0);
  return async () => {
    const handle = await open(file, 'r').catch(() => undefined);
    if (!handle) return [];
    try {
      const { size } = await handle.stat();
      if (size < offset) {
        offset = 0;
        rest = Buffer.alloc(0);
      }
      const { bytesRead, buffer } = await handle.read(Buffer.alloc(size - offset), 0, size - offset, offset);
      offset += bytesRead;
      rest = Buffer.concat([rest, buffer.subarray(0, bytesRead)]);
    } finally {
      await handle.close();
    }
    const end = rest.lastIndexOf(10) + 1;
    const lines = rest.subarray(0, end).toString('utf8').split('\n');
    rest = rest.subarray(end);
    return lines.flatMap(recordsOf);
  };
}

/** The record of a line, or none if the line is not a record. */
function recordsOf(line: string | Buffer): MetricsRecord[] {
  try {
    return [recordSchema.parse(parseJson(line.toString('utf8')))];
  } catch {
    return [];
  }
}
