import { join } from 'node:path';
import type { Trial } from '../evaluation/sweep-choice.ts';
import { fileNames } from '../runs/file-names.ts';
import { type NodeJob, readJob } from '../runs/node-file.ts';
import type { Values } from '../runs/plan-file.ts';
import { endingOf, readRecords } from '../runs/records.ts';
import { isSealed } from '../runs/seal.ts';
import { readTrial } from '../runs/trial.ts';

/** A trial of some values, with its outcome if its folder contains one with the same key. */
export async function trialOf(job: NodeJob, values: Values, metric: string): Promise<Trial> {
  return { values, seed: job.seed, ...((await isThere(job)) ? await readTrial(job.directory, metric) : {}) };
}

/** Whether a trial has failed by diverging, so that it would fail in the same way again. */
export async function hasDiverged(job: NodeJob): Promise<boolean> {
  if (isSealed(job.directory) || !(await isThere(job))) return false;
  const ending = endingOf(await readRecords(join(job.directory, fileNames.records)));
  return ending?.type === 'failed' && ending.diverged === true;
}

async function isThere({ directory, key }: NodeJob): Promise<boolean> {
  return (await readJob(join(directory, fileNames.job)).catch(() => undefined))?.key === key;
}
