import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { foreignDirectory, foreignPath } from '../checkpoint/foreign-directory.ts';
import type { Problem } from '../errors.ts';
import { statsOf } from '../files.ts';
import { fileNames } from '../runs/file-names.ts';
import { type InputKind, inputKinds } from '../stages/stage.ts';

/** Whether a text denotes a directory rather than a stage. */
export function looksLikePath(text: string, baseDirectory: string): boolean {
  return /[/\\]|^[.~]/.test(text) || isDirectory(resolve(baseDirectory, text));
}

/**
 * A model or tokenizer directory given by the user: the directory itself, or `final/` in the folder of a run. If there
 * is none, the problem is returned.
 */
export function userDirectory(
  path: string,
  kind: InputKind,
  baseDirectory: string,
): { directory: string; problem?: undefined } | { problem: Problem } {
  const directory = resolve(baseDirectory, path);
  const { mark, isModel } = inputKinds[kind];
  if (!isDirectory(directory)) return { problem: notThere(path, directory, kind) };
  const found = [directory, join(directory, fileNames.final)].find((candidate) => existsSync(join(candidate, mark)));
  if (found) return { directory: found };
  if (existsSync(join(directory, fileNames.records))) {
    const hint = 'this run is not finished; run its command again to continue';
    return { problem: { message: `${path} holds no ${mark}`, hint } };
  }
  if (!isModel) {
    const hint = "a tokenizer directory in Hugging Face's layout is expected";
    return { problem: { message: `${path} holds no ${mark}`, hint } };
  }
  const { message, ...problem } = foreignDirectory(directory);
  return { problem: { ...problem, message: `${path} ${message}` } };
}

function notThere(path: string, directory: string, kind: InputKind): Problem {
  if (inputKinds[kind].isModel) return foreignPath(path, directory);
  const isThere = existsSync(directory);
  if (isThere)
    return { message: `${path} is not a directory`, hint: `give the directory that holds ${inputKinds[kind].mark}` };
  return { message: `${path} does not exist`, hint: 'a tokenizer directory is expected' };
}

function isDirectory(path: string): boolean {
  return statsOf(path)?.isDirectory() ?? false;
}
