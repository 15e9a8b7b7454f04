import { join } from 'node:path';
import { z } from 'zod';
import { manifestFile, readManifest, verifyManifest } from '../checkpoint/manifest.ts';
import { rotateStates, stateName, wholeStates, writeState } from '../checkpoint/states.ts';
import { validate } from '../config/validate.ts';
import type { Problem } from '../errors.ts';
import type { Warn } from './log-file.ts';
import { type NodeProgress, progressSchema } from './progress.ts';

/** What computed a state. Another backend or precision gives slightly different numbers for the same steps. */
export const engineSchema = z.strictObject({ backend: z.string(), precision: z.string() });

export type Engine = z.infer<typeof engineSchema>;

/** What the runner saves with a state, in its manifest. */
const detailsSchema = z.looseObject({ progress: progressSchema, engine: engineSchema.optional() });

/** A saved state of a node, with what the runner saved with it. */
export interface SavedState extends z.infer<typeof detailsSchema> {
  directory: string;
}

/** How many of the newest states to keep: two, so that there is another if one turns out to be damaged. */
const kept = 2;

/** Saves a state in a folder named after its progress, and returns that folder. */
export function saveState(
  nodeDirectory: string,
  { progress, engine }: { progress: NodeProgress; engine: Engine },
  write: (directory: string) => Promise<void>,
): Promise<string> {
  return writeState(nodeDirectory, progress, write, { progress, engine });
}

/** Removes the oldest states, but never the best. */
export function removeOldStates(nodeDirectory: string, { best }: NodeProgress): Promise<void> {
  return rotateStates(nodeDirectory, kept, best ? [stateName(best)] : []);
}

/** The states that a run can resume from, newest first; calls `warn` for those that cannot be used. */
export async function* findStates(nodeDirectory: string, warn: Warn): AsyncGenerator<SavedState> {
  const skip = ({ where, message }: Problem) => warn(`not used: ${where} ${message}`);
  for await (const { directory, place } of wholeStates(nodeDirectory, skip)) {
    const where = `${join(directory, manifestFile)}:`;
    const { value, problems } = validate(detailsSchema, await readManifest(directory), {
      where: (path) => path.join('.'),
    });
    if (!value) for (const problem of problems) skip({ ...problem, where: `${where} ${problem.where}` });
    else if (stateName(value.progress) !== stateName(place)) skip({ where, message: 'belongs to another state' });
    else yield { ...value, directory, progress: await withKnownBest(nodeDirectory, value.progress, warn) };
  }
}

/** Forgets a best state that no longer exists, because it cannot become the result. */
async function withKnownBest(nodeDirectory: string, progress: NodeProgress, warn: Warn): Promise<NodeProgress> {
  const { best, ...rest } = progress;
  if (!best || best.step === progress.step) return progress;
  const [problem] = await verifyManifest(stateDirectory(nodeDirectory, best.step));
  if (!problem) return progress;
  warn(`the best state, of step ${best.step}, is lost: ${problem.where} ${problem.message}`);
  return rest;
}

/** Removes all states of a node that has finished. */
export async function removeStates(nodeDirectory: string): Promise<void> {
  await rotateStates(nodeDirectory, 0);
}

/** The folder in which the state after a step is saved. */
export function stateDirectory(nodeDirectory: string, step: number): string {
  return join(nodeDirectory, stateName({ step }));
}
