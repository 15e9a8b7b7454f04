import { readdir } from 'node:fs/promises';
import { basename, extname, join } from 'node:path';
import { RequestError } from '../errors.ts';
import { containerExtensions } from './containers.ts';

const textExtensions = ['.txt', '.md'];
const recordExtensions = ['.jsonl', '.ndjson', '.json'];

/** Extensions of the files that are read. */
export const readExtensions: readonly string[] = [...textExtensions, ...recordExtensions];

const extensionOf = (file: string) => extname(file).toLowerCase();

/** Whether a file is a single document rather than a list of records. */
export function isTextFile(file: string): boolean {
  return textExtensions.includes(extensionOf(file));
}

/** Files that accompany data but contain none. */
const companions =
  /^(readme|license|licence|copying|notice|changelog|contributing|authors|citation|code_of_conduct|security|dataset_infos?|dataset_dict|state|metadata|package|package-lock)([._-].*)?$/i;

/** The files of a folder that are read, sorted by name, and those that are not. @throws RequestError */
export async function filesOfFolder(path: string, name: string): Promise<{ files: string[]; skipped: string[] }> {
  const entries = await readdir(path, { withFileTypes: true });
  const names = entries.map((entry) => (entry.isDirectory() ? `${entry.name}/` : entry.name)).sort();
  refuseSavedDataset(names, name);
  const isRead = (file: string) =>
    !/^\.|\/$/.test(file) && readExtensions.includes(extensionOf(file)) && !companions.test(file);
  const files = names.filter(isRead);
  if (files.length === 0) throw nothingToRead(names, name);
  refuseSeveralSplits(files, name);
  const isHidden = (file: string) => file.startsWith('.') && !readExtensions.includes(extensionOf(file));
  const skipped = names.filter((file) => !isRead(file) && !isHidden(file));
  return { files: files.map((file) => join(path, file)), skipped };
}

/** Folders written by `Dataset.save_to_disk` contain Arrow files, and JSON files that are not data. */
function refuseSavedDataset(names: readonly string[], name: string): void {
  const isDictionary = names.includes('dataset_dict.json');
  if (!isDictionary && !(names.includes('state.json') && names.some((file) => file.endsWith('.arrow')))) return;
  const load = `datasets.load_from_disk(sys.argv[1])${isDictionary ? "['train']" : ''}`;
  throw new RequestError({
    where: name,
    message: 'the folder was written by `save_to_disk` of the Python library datasets: its rows are in Arrow files',
    hint: `convert it: python3 -c "import sys, datasets; ${load}.to_json(sys.argv[2], force_ascii=False)" ${name} ${basename(name)}.jsonl`,
  });
}

function nothingToRead(names: readonly string[], name: string): RequestError {
  const visible = names.filter((file) => !file.startsWith('.'));
  const others = visible.length > 0 ? `; it contains ${listed(visible)}` : '';
  const folder = visible.find((file) => file.endsWith('/'));
  const container = visible.find((file) => containerExtensions.includes(extensionOf(file)));
  const hint = container
    ? `name the file ${container} by itself: the message then says how to convert it`
    : folder && `folders inside are not read: name ${join(name, folder)}`;
  const message = `the folder contains no data files (${readExtensions.join(', ')})${others}`;
  return new RequestError({ where: name, message, ...(hint ? { hint } : {}) });
}

const splitWords = ['train', 'training', 'test', 'testing', 'valid', 'validation', 'val', 'dev', 'eval'];

/**
 * The split that a file's name indicates: `train.jsonl`, `test-00000-of-00002.json`, for records also
 * `town_train.jsonl`.
 */
function splitOf(file: string): string | undefined {
  const stem = file.slice(0, file.length - extname(file).length).toLowerCase();
  const [first = '', ...others] = stem.replace(/[-_.]\d+([-_.]of[-_.]\d+)?$/, '').split(/[-_.]/);
  const words = isTextFile(file) ? (others.length === 0 ? [first] : []) : [first, others.at(-1)];
  return words.find((word) => word !== undefined && splitWords.includes(word));
}

/** All files of a folder are trained on, so rows meant for evaluation must not be among them. */
function refuseSeveralSplits(files: readonly string[], name: string): void {
  const splits = new Set(files.map(splitOf).filter((split) => split !== undefined));
  if (splits.size < 2) return;
  throw new RequestError({
    where: name,
    message: `the folder contains several splits of a dataset, only one of which is for training: ${listed(files)}`,
    hint: 'name one file, or write `train` and `test` into a datasets/NAME.yaml',
  });
}

export function listed(files: readonly string[]): string {
  return files.length > 8 ? `${files.slice(0, 8).join(', ')} and ${files.length - 8} more` : files.join(', ');
}
