import { existsSync, readdirSync, realpathSync, type Stats, statSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { datasetFiles } from '../data/dataset.ts';
import type { Use } from '../data/rows.ts';
import { resolveSource } from '../data/source.ts';
import type { Problem } from '../errors.ts';
import type { Plan, PlanNode } from './plan.ts';

/** Something that a run reads, and the key that names it. */
interface Reading {
  key: string;
  path: string;
}

/**
 * A run neither writes into what it reads nor reads what lies in the folder that it writes: there the one would change
 * the other. Links and other ways to write a path make no difference.
 */
export async function outputProblems({ nodes, directory }: Pick<Plan, 'nodes' | 'directory'>): Promise<Problem[]> {
  const readings = (await Promise.all(nodes.map(readingsOf))).flat();
  const problems = readings.flatMap((reading) => overlapProblem(directory, reading) ?? []);
  return problems.filter(({ message }, i) => problems.findIndex((other) => other.message === message) === i);
}

/** What is wrong with a folder to write where something is read from `path`; nothing where they lie apart. */
export function overlapProblem(out: string, { key, path }: Reading): Problem | undefined {
  const message = partsOf(path).some((part) => isWithin(part, out))
    ? `${shown(out)} holds what is read as \`${key}\`: ${shown(path)}`
    : statOf(path)?.isDirectory() && isWithin(out, path)
      ? `${shown(out)} lies in what is read as \`${key}\`: ${shown(path)}`
      : undefined;
  return message === undefined ? undefined : { where: '--out', message, hint: 'choose a folder of its own' };
}

/** A folder that is not there yet, for a hint: `checkpoints/sft-2`. */
export function freeFolder(out: string): string {
  for (let count = 2; ; count++) if (!existsSync(`${out}-${count}`)) return shown(`${out}-${count}`);
}

export const shown = (path: string): string => relative('', path) || '.';

/** What a node reads that no node of the plan makes; those have a seed. */
async function readingsOf({ job, stage, datasets, config }: PlanNode): Promise<Reading[]> {
  const { inputs, baseDirectory } = job;
  const data = datasets.map(async ({ key, source, use }) =>
    (await filesOf(source, use, baseDirectory)).map((path): Reading => ({ key, path })),
  );
  const code = (stage.files ?? []).flatMap((key): Reading[] =>
    typeof config[key] === 'string' ? [{ key, path: resolve(baseDirectory, config[key]) }] : [],
  );
  return [
    ...Object.entries(inputs).flatMap(([key, named]) =>
      named.flatMap(({ directory, seed }) => (seed === undefined ? [{ key, path: directory }] : [])),
    ),
    ...(await Promise.all(data)).flat(),
    ...code,
  ];
}

/** The files of a dataset, and the folder where it is one. */
async function filesOf(source: string, use: Use, baseDirectory: string): Promise<readonly string[]> {
  if (use === 'question') return datasetFiles(source, use, baseDirectory);
  const resolved = await resolveSource(source, baseDirectory);
  if (resolved.kind === 'town') return [];
  const named = resolve(baseDirectory, source);
  return [...(existsSync(named) ? [named] : []), ...resolved.files, ...(resolved.testFiles ?? [])];
}

/** A folder and what stands in it, which may be links to elsewhere; a file alone. */
function partsOf(path: string): string[] {
  if (!statOf(path)?.isDirectory()) return [path];
  return [path, ...readdirSync(path).map((name) => join(path, name))];
}

/**
 * Whether a path is a folder or lies in it, whatever links lead there; of a path that is not there, the part that is.
 */
function isWithin(path: string, folder: string): boolean {
  const target = statOf(folder);
  if (!target) return false;
  for (let place = existing(path); ; place = dirname(place)) {
    const { dev, ino } = statSync(place);
    if (dev === target.dev && ino === target.ino) return true;
    if (place === dirname(place)) return false;
  }
}

function statOf(path: string): Stats | undefined {
  return existsSync(path) ? statSync(path) : undefined;
}

function existing(path: string): string {
  return existsSync(path) ? realpathSync(path) : existing(dirname(resolve(path)));
}
