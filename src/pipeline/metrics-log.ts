import { appendFileSync, statSync, truncateSync } from 'node:fs';
import { open, readFile } from 'node:fs/promises';
import { writeFileAtomically } from '../checkpoint/atomic.ts';
import { WriteError, writeError } from '../checkpoint/write-error.ts';
import { parseJson } from '../config/json.ts';
import type { NodeProgress } from './node-progress.ts';

/** One line of metrics.jsonl; docs/architecture.md has the forms. */
export interface MetricsRecord {
  type: string;
  step: number;
  [name: string]: unknown;
}

/** Where a run goes on: after a step, and what was due there is measured or not. */
type Place = Pick<NodeProgress, 'step' | 'measured'>;

/** Appends to a log that no other process writes. */
export interface MetricsLog {
  readonly file: string;
  /** Appends a record. Where the disk refuses, `warn` hears of it, and the record waits in memory for the next. */
  append(record: MetricsRecord): void;
  /** Writes the records that wait. @throws WriteError */
  flush(): void;
  /** Makes the log what it was at a place that a run goes on from, empty where there is none. @throws WriteError */
  cut(place: Place | undefined): Promise<void>;
}

export function openMetricsLog(file: string, warn: (message: string) => void): MetricsLog {
  let waiting: string[] = [];
  /** Bytes of whole records, to which a failed append is cut back. */
  let whole = statSync(file, { throwIfNoEntry: false })?.size ?? 0;
  let isRefused = false;
  const flush = (): void => {
    if (waiting.length === 0) return;
    const text = waiting.join('');
    try {
      if (isRefused) truncateSync(file, whole);
      appendFileSync(file, text);
    } catch (error) {
      throw writeError(error, file);
    }
    whole += Buffer.byteLength(text);
    waiting = [];
    isRefused = false;
  };
  return {
    file,
    flush,
    append(record) {
      waiting.push(`${textOf(record)}\n`);
      try {
        flush();
      } catch (error) {
        if (!(error instanceof WriteError)) throw error;
        if (!isRefused) warn(`${error.message}; the run goes on, and its records wait in memory`);
        isRefused = true;
      }
    },
    async cut(place) {
      const kept = place ? (await readRecords(file)).filter((record) => isBefore(record, place)) : [];
      const text = kept.map((record) => `${JSON.stringify(record)}\n`).join('');
      await writeFileAtomically(file, text);
      whole = Buffer.byteLength(text);
    },
  };
}

const endings: ReadonlySet<string> = new Set(['done', 'failed', 'stopped']);
const measurements: ReadonlySet<string> = new Set(['eval', 'sample']);

/** What is measured again or ends anew is not kept. */
function isBefore({ type, step }: MetricsRecord, place: Place): boolean {
  if (endings.has(type)) return false;
  return measurements.has(type) && !place.measured ? step < place.step : step <= place.step;
}

/** Non-finite numbers become the strings of their names, which JSON can hold. */
function textOf(record: MetricsRecord): string {
  return JSON.stringify(record, (_, value: unknown) =>
    typeof value === 'number' && !Number.isFinite(value) ? String(value) : value,
  );
}

/** The records of a log, none where there is no file; a last line that was cut short by a crash is left out. */
export async function readRecords(file: string): Promise<MetricsRecord[]> {
  const text = await readFile(file, 'utf8').catch(() => '');
  return text.split('\n').flatMap((line) => recordOf(line) ?? []);
}

/** What was measured on held-out rows at first and at last; the numbers alone. */
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

/** Follows a log that another process writes: each call returns what was appended since the last. */
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
    return lines.flatMap((line) => recordOf(line) ?? []);
  };
}

function recordOf(line: string): MetricsRecord | undefined {
  try {
    const record: unknown = parseJson(line);
    return isRecord(record) ? record : undefined;
  } catch {
    return undefined;
  }
}

function isRecord(value: unknown): value is MetricsRecord {
  if (typeof value !== 'object' || value === null || !('type' in value && 'step' in value)) return false;
  return typeof value.type === 'string' && Number.isSafeInteger(value.step) && Number(value.step) >= 0;
}
