import { readdir, readlink, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Problem } from '../errors.ts';
import { removeDirectory, writeDirectoryAtomically } from './atomic.ts';
import { verifyManifest, writeManifest } from './manifest.ts';

const statePattern = /^state-(\d{6,})(?:\+(\d+))?$/;

/** The place of a state: after a step, and after a number of pauses inside the next one. */
export interface StatePlace {
  step: number;
  pauses?: number;
}

/** The name of the resumable state at a place: `state-000012`, or `state-000012+3` in the middle of step 13. */
export function stateName({ step, pauses = 0 }: StatePlace): string {
  return `state-${String(step).padStart(6, '0')}${pauses > 0 ? `+${pauses}` : ''}`;
}

/** Writes a resumable state with its manifest into `node`, all or nothing, and returns its folder. */
export async function writeState(
  node: string,
  place: StatePlace,
  save: (directory: string) => Promise<void>,
  details: Readonly<Record<string, unknown>> = {},
): Promise<string> {
  const directory = join(node, stateName(place));
  await writeDirectoryAtomically(directory, async (temporary) => {
    await save(temporary);
    await writeManifest(temporary, { ...details, step: place.step });
  });
  return directory;
}

/** The states of a node that are intact according to their manifests, newest first; the others are passed to `skip`. */
export async function* wholeStates(
  node: string,
  skip: (problem: Problem) => void,
): AsyncGenerator<{ directory: string; place: Required<StatePlace> }> {
  for (const name of (await stateNames(node)).reverse()) {
    const directory = join(node, name);
    const problems = await verifyManifest(directory);
    if (problems.length === 0) yield { directory, place: placeOf(name) };
    else for (const problem of problems) skip(problem);
  }
}

/**
 * Deletes the states of a node except the newest `keep`, those named in `keepAlso`, and those that the links `best` and
 * `last` point to; also deletes the remains of interrupted writes. Only the process that runs the node may call it.
 */
export async function rotateStates(node: string, keep: number, keepAlso: readonly string[] = []): Promise<void> {
  const linked = await Promise.all(['best', 'last'].map((link) => readlink(join(node, link)).catch(() => undefined)));
  const kept = new Set<string | undefined>([...keepAlso, ...linked]);
  const names = await stateNames(node);
  for (const name of names.slice(0, Math.max(0, names.length - keep))) {
    if (!kept.has(name)) await removeDirectory(join(node, name));
  }
  const leftovers = (await readdir(node)).filter((name) => /^state-[\d+]+\.tmp-/.test(name));
  for (const name of leftovers) await rm(join(node, name), { recursive: true, force: true });
}

/** Oldest first. */
async function stateNames(node: string): Promise<string[]> {
  const names = await readdir(node).catch(() => []);
  return names
    .filter((name) => statePattern.test(name))
    .sort((a, b) => placeOf(a).step - placeOf(b).step || placeOf(a).pauses - placeOf(b).pauses);
}

function placeOf(name: string): Required<StatePlace> {
  const [, step, pauses = 0] = statePattern.exec(name)!;
  return { step: Number(step), pauses: Number(pauses) };
}
