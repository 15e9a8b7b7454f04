import { existsSync, readdirSync, realpathSync, type Stats, statSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { datasetFiles } from '../data/dataset.ts';
import type { Use } from '../data/rows.ts';
import { resolveSource } from '../data/source.ts';
import type { Problem } from '../errors.ts';
import type { Plan, PlanNode } from './plan.ts';

/** A path that a run reads, and the key that names it. */
interface Reading {
  key: string;
  path: string;
}

/**
 * The problems if a run would write into something it reads, or read something inside the folder it writes, since one
 * would change the other. Links and different spellings of a path make no difference.
 */
export async function outputProblems({ nodes, directory }: Pick<Plan, 'nodes' | 'directory'>): Promise<Problem[]> {
  const readings = (await Promise.all(nodes.map(readingsOf))).flat();
  const problems = readings.flatMap((reading) => overlapProblem(directory, reading) ?? []);
  return problems.filter(({ message }, i) => problems.findIndex((other) => other.message === message) === i);
}

/** The problem if the output folder `out` overlaps with `path`, which is read; undefined if they are separate. */
export function overlapProblem(out: string, { key, path }: Reading): Problem | undefined {
  const message = partsOf(path).some((part) => isWithin(part, out))
    ? `${shown(out)} contains what is read as \`${key}\`: ${shown(path)}`
    : statOf(path)?.isDirectory() && isWithin(out, path)
      ? `${shown(out)} is inside what is read as \`${key}\`: ${shown(path)}`
      : undefined;
  return message === undefined ? undefined : { where: '--out', message, hint: 'choose a separate folder' };
}

/** A folder that does not exist yet, to suggest in a hint: `checkpoints/sft-2`. */
export function freeFolder(out: string): string {
  for (let count = 2; ; count++) if (!existsSync(`${out}-${count}`)) return shown(`${out}-${count}`);
}

export const shown = (path: string): string => relative('', path) || '.';

/** The paths that a node reads and that no node of the plan produces (inputs produced by nodes have a seed). */
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

/** The files of a dataset, and the file or folder that was named. */
async function filesOf(source: string, use: Use, baseDirectory: string): Promise<readonly string[]> {
  if (use === 'question') return datasetFiles(source, use, baseDirectory);
  const resolved = await resolveSource(source, baseDirectory);
  if (resolved.kind === 'town') return [];
  const named = resolve(baseDirectory, source);
  return [...(existsSync(named) ? [named] : []), ...resolved.files, ...(resolved.testFiles ?? [])];
}

/** A folder and its entries, which may be links to elsewhere; just the path itself for a file. */
function partsOf(path: string): string[] {
  if (!statOf(path)?.isDirectory()) return [path];
  return [path, ...readdirSync(path).map((name) => join(path, name))];
}

/**
 * Whether a path is `folder` or inside it, with links resolved. If the path does not exist, its existing part counts.
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
