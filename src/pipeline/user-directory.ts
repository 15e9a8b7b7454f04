import { existsSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Problem } from '../errors.ts';
import type { InputKind } from '../stages/stage.ts';

/** The file by which a directory of each kind is known. */
const mark: Readonly<Record<InputKind, string>> = {
  model: 'config.json',
  'reward model': 'config.json',
  tokenizer: 'tokenizer.json',
};

/** Does this text mean a directory rather than a stage? */
export function looksLikePath(text: string, baseDirectory: string): boolean {
  return /[/\\]|^[.~]/.test(text) || isDirectory(resolve(baseDirectory, text));
}

/**
 * A model or tokenizer directory that a person named: the directory itself, or the `final/` of a run's folder.
 * What is wrong with it comes back as a problem.
 */
export function userDirectory(
  path: string,
  kind: InputKind,
  baseDirectory: string,
): { directory: string; problem?: undefined } | { problem: Problem } {
  const directory = resolve(baseDirectory, path);
  if (!existsSync(directory))
    return { problem: { message: `${path} does not exist`, hint: `a ${kind} directory is expected` } };
  if (!isDirectory(directory))
    return { problem: { message: `${path} is no directory`, hint: `give the directory that holds ${mark[kind]}` } };
  const found = [directory, join(directory, 'final')].find((candidate) => existsSync(join(candidate, mark[kind])));
  if (found) return { directory: found };
  const hint = existsSync(join(directory, 'metrics.jsonl'))
    ? 'this run is not finished; run its command again to go on'
    : `a ${kind} directory in Hugging Face's layout is expected`;
  return { problem: { message: `${path} holds no ${mark[kind]}`, hint } };
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}
