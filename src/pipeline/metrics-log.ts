import { appendFileSync } from 'node:fs';
import { open, readFile } from 'node:fs/promises';
import { writeFileAtomically } from '../checkpoint/atomic.ts';

/** One line of metrics.jsonl; docs/architecture.md has the forms. */
export interface MetricsRecord {
  type: string;
  step: number;
  [name: string]: unknown;
}

/** Appends a record; non-finite numbers become the strings of their names, which JSON can hold. */
export function appendRecord(file: string, record: MetricsRecord): void {
  const text = JSON.stringify(record, (_, value: unknown) =>
    typeof value === 'number' && !Number.isFinite(value) ? String(value) : value,
  );
  appendFileSync(file, `${text}\n`);
}

/** The records of a log, none where there is no file; a last line that was cut short by a crash is left out. */
export async function readRecords(file: string): Promise<MetricsRecord[]> {
  const text = await readFile(file, 'utf8').catch(() => '');
  return text.split('\n').flatMap((line) => recordOf(line) ?? []);
}

/** Makes the log what it was when `step` was done: later records and earlier endings go. */
export async function cutRecords(file: string, step: number): Promise<void> {
  const endings = new Set(['done', 'failed', 'stopped']);
  const kept = (await readRecords(file)).filter((record) => record.step <= step && !endings.has(record.type));
  await writeFileAtomically(file, kept.map((record) => `${JSON.stringify(record)}\n`).join(''));
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
    const record: unknown = JSON.parse(line);
    return isRecord(record) ? record : undefined;
  } catch {
    return undefined;
  }
}

function isRecord(value: unknown): value is MetricsRecord {
  return typeof value === 'object' && value !== null && 'type' in value && 'step' in value;
}
