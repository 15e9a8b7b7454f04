import { createHash, type Hash } from 'node:crypto';
import { basename } from 'node:path';
import { RequestError } from '../errors.ts';
import { openRegularFile } from '../files.ts';
import { fileRows, filesOf, fileUses } from './file-rows.ts';
import { isTextFile, listed } from './folder.ts';
import type { Dataset, Reading, RowOf, Use } from './rows.ts';
import { type FileSource, resolveSource, type Source } from './source.ts';
import type { Split } from './split.ts';
import { readQuestions, type TaskData, taskData } from './tasks/questions.ts';
import { townRows, townUses } from './town/town.ts';

export interface DatasetOptions {
  /** Which rows: those to train on (the default) or those held out. */
  split?: Split;
  /**
   * Fraction to hold out, 0 (the default) to 1, taken from the end of the rows, or of the text of each plain-text file.
   * Ignored for datasets that define themselves what is held out (`town`, descriptors).
   */
  holdOut?: number;
  /** Folder that relative paths and `./datasets` start from; default: the current directory. */
  baseDirectory?: string;
  /** Return no rows for an empty split instead of throwing, for held-out rows that need not exist. */
  allowEmpty?: boolean;
}

/**
 * Opens a dataset as rows for one use. `source` is `town/KIND`, the path of a file or folder, or the name of a
 * descriptor; for questions, all of which are held out, it is `TASK` or `TASK:DATASET`.
 * @throws RequestError with everything that is wrong with the source or its rows
 */
export async function openDataset<U extends Use>(
  source: string,
  use: U,
  options: DatasetOptions = {},
): Promise<Dataset<RowOf[U]>> {
  const baseDirectory = options.baseDirectory ?? process.cwd();
  const split = options.split ?? 'train';
  if (use === 'question') {
    const task = await taskData(source, baseDirectory);
    const rows = split === 'test' ? ((await readQuestions(task)) as RowOf[U][]) : [];
    return { name: source, rows, fingerprint: await questionsFingerprint(task), reading: nothingUnread };
  }
  const resolved = await resolveSource(source, baseDirectory);
  const { rows, reading } =
    resolved.kind === 'town'
      ? { rows: townRows(resolved.name, use, split), reading: nothingUnread }
      : await fileRows(resolved, source, use, split, holdOutOf(resolved, options));
  if (rows.length === 0 && !options.allowEmpty) {
    const hint = 'set `holdOut` to a fraction such as 0.05, or name a `test` file in a datasets/NAME.yaml';
    throw new RequestError({ where: source, message: `the ${split} split of this dataset is empty`, hint });
  }
  return { name: source, rows, fingerprint: await fingerprint(resolved, use, options), reading };
}

const nothingUnread: Reading = { unreadColumns: [], skippedFiles: [], remarks: [] };

/** What the user should know about how a dataset was read. */
export function describeReading({ format, unreadColumns, skippedFiles, remarks }: Reading): string[] {
  const columns = unreadColumns.map((column) => `\`${column}\``);
  return [
    ...(format ? [`read as ${format.name}, because ${format.evidence}`] : []),
    ...(columns.length > 0 ? [`not read: ${listed(columns)}`] : []),
    ...(skippedFiles.length > 0 ? [`ignored in the folder: ${listed(skippedFiles)}`] : []),
    ...remarks,
  ];
}

/** Receives messages, one line at a time. */
export type Log = (line: string) => void;

/** Logs how a dataset was read, if there is anything to say. */
export function sayReading({ name, reading }: Dataset<unknown>, log: Log): void {
  const sentences = describeReading(reading);
  if (sentences.length > 0) log(`${name}: ${sentences.join('; ')}`);
}

/** Whether a dataset has rows for a use, judging by its first row only. @throws RequestError */
export async function serves(source: string, use: Use, baseDirectory: string): Promise<boolean> {
  const resolved = await resolveSource(source, baseDirectory);
  const uses = resolved.kind === 'town' ? townUses(resolved.name) : await fileUses(resolved);
  return uses.includes(use);
}

/** Opens the rows to train on and the rows held out, if any. @throws RequestError */
export async function openSplits<U extends Use>(
  source: string,
  use: U,
  { holdOut, baseDirectory, log }: Pick<DatasetOptions, 'holdOut' | 'baseDirectory'> & { log?: Log },
): Promise<{ train: readonly RowOf[U][]; heldOut: readonly RowOf[U][] }> {
  const options = { ...(holdOut === undefined ? {} : { holdOut }), ...(baseDirectory ? { baseDirectory } : {}) };
  const train = await openDataset(source, use, { ...options, split: 'train' });
  if (log) sayReading(train, log);
  const heldOut = await openDataset(source, use, { ...options, split: 'test', allowEmpty: true });
  return { train: train.rows, heldOut: heldOut.rows };
}

/** SHA-256 of what `openDataset` would return; for files, of their content and how they are read, without parsing. */
export async function datasetFingerprint(source: string, use: Use, options: DatasetOptions = {}): Promise<string> {
  const baseDirectory = options.baseDirectory ?? process.cwd();
  if (use === 'question') return questionsFingerprint(await taskData(source, baseDirectory));
  return fingerprint(await resolveSource(source, baseDirectory), use, options);
}

/** The files that a dataset is read from; none for a built-in one. */
export async function datasetFiles(source: string, use: Use, baseDirectory: string): Promise<readonly string[]> {
  if (use === 'question') return filesOfTask(await taskData(source, baseDirectory));
  const resolved = await resolveSource(source, baseDirectory);
  return resolved.kind === 'town' ? [] : [...resolved.files, ...(resolved.testFiles ?? [])];
}

function holdOutOf(source: FileSource, options: DatasetOptions): number {
  return source.testFiles ? 0 : (source.holdOut ?? options.holdOut ?? 0);
}

/** Must be increased whenever the same file would give different rows than before. */
const readersVersion = 2;

async function fingerprint(source: Source, use: Use, options: DatasetOptions): Promise<string> {
  const hash = createHash('sha256');
  const split = options.split ?? 'train';
  if (source.kind === 'town') {
    hash.update(JSON.stringify(townRows(source.name, use, split)));
  } else {
    const { format, columns, ignore } = source;
    const how = [use, split, holdOutOf(source, options), format ?? null, columns ?? null, ignore ?? null];
    hash.update(JSON.stringify([readersVersion, ...how]));
    for (const file of filesOf(source, split)) await hashFile(hash, file);
  }
  return hash.digest('hex');
}

const filesOfTask = ({ source, examples }: TaskData): string[] => [...source.files, ...(examples?.source.files ?? [])];

async function questionsFingerprint(task: TaskData): Promise<string> {
  const { columns } = task.source;
  const how = [readersVersion, task.loaded.fingerprint, columns ?? null, task.examples?.source.columns ?? null];
  const hash = createHash('sha256').update(JSON.stringify(how));
  for (const file of filesOfTask(task)) await hashFile(hash, file);
  return hash.digest('hex');
}

async function hashFile(hash: Hash, file: string): Promise<void> {
  const content = createHash('sha256');
  const handle = await openRegularFile(file, basename(file));
  if (!handle) throw new RequestError({ where: file, message: 'the file no longer exists' });
  for await (const chunk of handle.createReadStream()) content.update(chunk as Buffer);
  hash.update(isTextFile(file) ? 'text' : 'records').update(content.digest());
}
