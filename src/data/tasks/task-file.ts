import { createHash } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { basename, resolve } from 'node:path';
import { suggestion } from '../../config/suggest.ts';
import { validate } from '../../config/validate.ts';
import { parseYamlFile, type YamlFile } from '../../config/yaml-file.ts';
import { RequestError } from '../../errors.ts';
import { packageFile, readTextFile } from '../../files.ts';
import { type TaskFile, type TaskFileKind, taskSchemas } from './task-schema.ts';

/** A task by name or file, with the dataset that is asked: `arc-easy:rows.jsonl`, `mine.yaml`. */
export interface NamedTask {
  /** `arc-easy`, or the path of a file. */
  task: string;
  /** Instead of the one that the task file names. */
  data: string | undefined;
}

/** Takes `TASK:DATASET` apart; either may be a path. */
export function namedTask(written: string): NamedTask {
  const [, file, data] = /^(.*?\.yaml)(?::(.+))?$/s.exec(written) ?? [];
  if (file !== undefined) return { task: file, data };
  const colon = written.indexOf(':');
  return colon < 0
    ? { task: written, data: undefined }
    : { task: written.slice(0, colon), data: written.slice(colon + 1) };
}

/** What the metrics of a task are named after: `arc-easy`, or `mine` of `folder/mine.yaml`. */
export const taskName = (written: string): string => basename(namedTask(written).task, '.yaml');

/** The user's own folder first, so that a task of the package can be replaced. */
const folders = (baseDirectory: string): string[] => [resolve(baseDirectory, 'tasks'), packageFile('tasks')];

/** Names of all tasks that can be used from a folder. */
export async function taskNames(baseDirectory: string): Promise<string[]> {
  const lists = await Promise.all(folders(baseDirectory).map((folder) => readdir(folder).catch(() => [])));
  const files = lists.flat().filter((name) => name.endsWith('.yaml'));
  return [...new Set(files.map((name) => basename(name, '.yaml')))].sort();
}

export interface LoadedTask {
  /** As messages name it: `tasks/arc-easy.yaml`. */
  file: string;
  task: TaskFile;
  lineOf: YamlFile['lineOf'];
  /** SHA-256 of the file. */
  fingerprint: string;
}

/** Reads a task by name or file. @throws RequestError */
export async function loadTask(task: string, baseDirectory: string): Promise<LoadedTask> {
  for (const [path, file] of placesOf(task, baseDirectory)) {
    const text = await readTextFile(path, { name: file });
    if (text !== undefined) return parseTask(text, file);
  }
  if (task.endsWith('.yaml')) {
    const hint = `paths start from ${baseDirectory}`;
    throw new RequestError({ message: `there is no file ${task}`, hint });
  }
  const hint = `${suggestion(task, await taskNames(baseDirectory))} (a task of your own: its path, such as ./mine.yaml)`;
  throw new RequestError({ message: `\`${task}\` is no task`, hint });
}

function placesOf(task: string, baseDirectory: string): [path: string, file: string][] {
  if (task.endsWith('.yaml')) return [[resolve(baseDirectory, task), task]];
  if (!/^[\w.-]+$/.test(task)) return [];
  return folders(baseDirectory).map((folder) => [resolve(folder, `${task}.yaml`), `tasks/${task}.yaml`]);
}

function parseTask(text: string, file: string): LoadedTask {
  const yaml = parseYamlFile(text, file);
  const kinds = Object.keys(taskSchemas) as TaskFileKind[];
  const written = (yaml.value as { kind?: unknown } | null)?.kind;
  const kind = kinds.find((kind) => kind === written);
  const place = { where: (path: readonly (string | number)[]) => path.join('.'), line: yaml.lineOf };
  if (kind === undefined) {
    const line = yaml.lineOf(['kind']);
    const message = written === undefined ? 'is missing' : `found ${JSON.stringify(written)}`;
    throw new RequestError(
      { where: 'kind', message, hint: `kinds are ${kinds.join(', ')}`, ...(line === undefined ? {} : { line }) },
      file,
    );
  }
  const { value, problems } = validate<TaskFile>(taskSchemas[kind], yaml.value, place);
  if (!value) throw new RequestError(problems, file);
  const fingerprint = createHash('sha256').update(text).digest('hex');
  return { file, task: value, lineOf: yaml.lineOf, fingerprint };
}
