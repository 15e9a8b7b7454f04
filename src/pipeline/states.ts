import { join } from 'node:path';
import { readManifest } from '../checkpoint/manifest.ts';
import { newestState, rotateStates, stateName, writeState } from '../checkpoint/states.ts';
import { type NodeProgress, progressSchema } from './node-progress.ts';

/** A saved state of a node, with what the runner itself had to remember. */
export interface SavedState {
  directory: string;
  progress: NodeProgress;
}

/** Newest states to keep; two, so that one which turns out damaged leaves another to go on from. */
const kept = 2;

/** Saves a state under its place. */
export function saveState(
  nodeDirectory: string,
  progress: NodeProgress,
  write: (directory: string) => Promise<void>,
): Promise<string> {
  return writeState(nodeDirectory, progress, write, { progress });
}

/** Removes the oldest states, but never the best. */
export function removeOldStates(nodeDirectory: string, { best }: NodeProgress): Promise<void> {
  return rotateStates(nodeDirectory, kept, best ? [stateName(best)] : []);
}

/** The newest state that is whole; `log` hears of those that are passed over. */
export async function findState(
  nodeDirectory: string,
  log: (message: string) => void,
): Promise<SavedState | undefined> {
  const { state, skipped } = await newestState(nodeDirectory);
  for (const { where, message } of skipped) log(`not used: ${where} ${message}`);
  if (!state) return undefined;
  const manifest = await readManifest(state.directory);
  return { directory: state.directory, progress: progressSchema.parse(manifest?.progress) };
}

/** A finished node needs no state to go on from. */
export async function removeStates(nodeDirectory: string): Promise<void> {
  await rotateStates(nodeDirectory, 0);
}

/** Where the state of a step is, once it was saved. */
export function stateDirectory(nodeDirectory: string, step: number): string {
  return join(nodeDirectory, stateName({ step }));
}
