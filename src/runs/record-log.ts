import { appendFileSync, closeSync, openSync, readSync, statSync, truncateSync } from 'node:fs';
import { writeFileAtomically } from '../checkpoint/atomic.ts';
import { WriteError, writeError } from '../checkpoint/write-error.ts';
import type { Warn } from './log-file.ts';
import { jsonText } from './numbers.ts';
import type { NodeProgress } from './progress.ts';
import { isEnding, type MetricsRecord, readRecords } from './records.ts';

/** Where a run goes on: after a step, and what was due there is measured or not. */
type Place = Pick<NodeProgress, 'step' | 'measured'>;

/** Appends to a metrics.jsonl that no other process writes. */
export interface RecordLog {
  readonly file: string;
  /** Appends a record. Where the disk refuses, `warn` hears of it, and the record waits in memory for the next. */
  append(record: MetricsRecord): void;
  /** Writes the records that wait. @throws WriteError */
  flush(): void;
  /** Makes the log what it was at a place that a run goes on from, empty where there is none. @throws WriteError */
  cut(place: Place | undefined): Promise<void>;
}

export function openRecordLog(file: string, warn: Warn): RecordLog {
  // A line that a crash cut short is no part of the next.
  let waiting: string[] = isCutShort(file) ? ['\n'] : [];
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
      waiting.push(lineOf(record));
      try {
        flush();
      } catch (error) {
        if (!(error instanceof WriteError)) throw error;
        if (!isRefused) warn(`${error.message}; the run continues, and its records are kept in memory`);
        isRefused = true;
      }
    },
    async cut(place) {
      const kept = place ? (await readRecords(file)).filter((record) => isBefore(record, place)) : [];
      const text = kept.map(lineOf).join('');
      await writeFileAtomically(file, text);
      waiting = [];
      whole = Buffer.byteLength(text);
    },
  };
}

/** Takes the end off the log of a run that is about to go on. @throws WriteError */
export async function forgetEnding(file: string): Promise<void> {
  const records = await readRecords(file);
  if (!records.some(isEnding)) return;
  const kept = records.filter((record) => !isEnding(record));
  await writeFileAtomically(file, kept.map(lineOf).join(''));
}

function isCutShort(file: string): boolean {
  const size = statSync(file, { throwIfNoEntry: false })?.size ?? 0;
  if (size === 0) return false;
  const descriptor = openSync(file, 'r');
  try {
    const last = Buffer.alloc(1);
    readSync(descriptor, last, 0, 1, size - 1);
    return last[0] !== newline;
  } finally {
    closeSync(descriptor);
  }
}

const newline = 0x0a;

const measurements: ReadonlySet<string> = new Set(['eval', 'sample']);

/** What is measured again or ends anew is not kept. */
function isBefore(record: MetricsRecord, place: Place): boolean {
  const { type, step } = record;
  if (isEnding(record)) return false;
  return measurements.has(type) && !place.measured ? step < place.step : step <= place.step;
}

const lineOf = (record: MetricsRecord): string => `${jsonText(record)}\n`;
