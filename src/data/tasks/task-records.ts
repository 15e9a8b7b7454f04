import { basename } from 'node:path';
import { type Problem, RequestError } from '../../errors.ts';
import { readTextFile } from '../../files.ts';
import { moveColumns, withoutNulls } from '../columns.ts';
import { isTextFile } from '../folder.ts';
import { splitChoices } from '../formats/commonsense.ts';
import { readRecords } from '../records.ts';
import { type FileSource, resolveSource } from '../source.ts';
import type { Fields } from './task-template.ts';

/** A row of a dataset as templates see it, and where it stands. */
export interface TaskRecord {
  fields: Fields;
  /** `rows.jsonl, row 3`. */
  where: string;
  line: number;
}

/** The files of a dataset that a task asks: its held-out rows where it says which these are, else all. */
export async function taskSource(dataset: string, baseDirectory: string): Promise<FileSource> {
  const source = await resolveSource(dataset, baseDirectory);
  if (source.kind === 'files') return { ...source, files: source.testFiles ?? source.files };
  const hint = 'ask it by `choice` or `exactMatch`';
  throw new RequestError({ where: dataset, message: 'is built in: task files ask rows of files', hint });
}

/** @throws RequestError where rows cannot be read, or there are none */
export async function taskRecords(source: FileSource, dataset: string): Promise<TaskRecord[]> {
  const problems: Problem[] = [];
  const records: TaskRecord[] = [];
  for (const file of source.files) {
    if (isTextFile(file)) {
      const text = (await readTextFile(file, { name: basename(file) })) ?? '';
      records.push({ fields: { text }, where: basename(file), line: 1 });
      continue;
    }
    for await (const record of readRecords(file, (problem) => problems.push(problem))) {
      const fields = fieldsOf(withoutNulls(moveColumns(record, source.columns ?? {})).value);
      records.push({ fields, where: `${basename(file)}, row ${record.row}`, line: record.line });
    }
  }
  if (problems.length > 0) throw new RequestError(problems.slice(0, 10), dataset);
  if (records.length === 0) throw new RequestError({ where: dataset, message: 'has no rows to measure on' });
  return records;
}

/**
 * The columns of a row. One of Commonsense170K, whose choices are part of the instruction, has them taken apart as
 * well, under the names of ARC: `question`, `choices.text`, `choices.label` and `answerKey`.
 */
function fieldsOf(row: Fields): Fields {
  const { instruction, answer } = row;
  if (typeof instruction !== 'string' || typeof answer !== 'string' || 'choices' in row) return row;
  const found = splitChoices(instruction, answer);
  if (typeof found === 'string') return row;
  const label = found.choices.map((_, index) => String.fromCharCode(65 + index));
  const question = found.prompt[0]!.content;
  return { ...row, question, choices: { text: found.choices, label }, answerKey: label[found.answer] };
}
