import { appendFileSync, closeSync, openSync, readSync, statSync, truncateSync } from 'node:fs';
import { writeFileAtomically } from '../checkpoint/atomic.ts';
import { WriteError, writeError } from '../checkpoint/write-error.ts';
import type { Warn } from './log-file.ts';
import { jsonText } from './numbers.ts';
import type { NodeProgress } from './progress.ts';
import { isEnding, type MetricsRecord, readRecords } from './records.ts';

/** Where a run resumes: after which step, and whether the measurements due after it were made. */
type Place = Pick<NodeProgress, 'step' | 'measured'>;

/** Appends to a metrics.jsonl that no other process writes. */
export interface RecordLog {
  readonly file: string;
  /** Appends a record. If the disk refuses it, calls `warn` and keeps the record in memory until the next append. */
  append(record: MetricsRecord): void;
  /** Writes the records kept in memory. @throws WriteError */
  flush(): void;
  /** Restores the log to what it was at the place where a run resumes; empties it without one. @throws WriteError */
  cut(place: Place | undefined): Promise<void>;
}

export function openRecordLog(file: string, warn: Warn): RecordLog {
  // The next record must not continue a line that a crash cut short.
  let waiting: string[] = isCutShort(file) ? ['\n'] : [];
  /** Bytes of complete records; the file is truncated to this length after a failed append. */
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

/** Removes the ending from the log of a run that is about to resume. @throws WriteError */
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

/** Drops endings, and measurements that will be made again. */
function isBefore(record: MetricsRecord, place: Place): boolean {
  const { type, step } = record;
  if (isEnding(record)) return false;
  return measurements.has(type) && !place.measured ? step < place.step : step <= place.step;
}

const lineOf = (record: MetricsRecord): string => `${jsonText(record)}\n`;
