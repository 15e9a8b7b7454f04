import { existsSync } from 'node:fs';
import { mkdir, readdir, rename, rmdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { writeFileAtomically } from '../checkpoint/atomic.ts';
import { verifyManifest } from '../checkpoint/manifest.ts';
import { annotatedYaml } from '../config/resolved.ts';
import { RequestError } from '../errors.ts';
import { fileNames } from '../runs/file-names.ts';
import { requireUnlocked } from '../runs/lock.ts';
import type { Machine } from '../runs/machine.ts';
import { type NodeJob, readJob, writeJob } from '../runs/node-file.ts';
import { forgetEnding } from '../runs/record-log.ts';
import { readRecords } from '../runs/records.ts';
import { readRun, unequal } from '../runs/run.ts';
import { isSealed } from '../runs/seal.ts';
import { freeFolder, shown } from './output-check.ts';
import type { PlanNode } from './plan.ts';

/** What a plan finds in a node's folder: its result, work to continue, the work of another config, or nothing. */
export type Standing = 'finished' | 'begun' | 'superseded' | 'new';

/** A finished node whose files have been damaged since counts as superseded: they are set aside and it is run again. */
export async function standingOf({ directory, key, work, machine }: PlanNode['job']): Promise<Standing> {
  const entries = existsSync(directory) ? await readdir(directory).catch(() => undefined) : [];
  if (entries?.length === 0) return 'new';
  const there = await jobOf(directory);
  const isFinished = isSealed(directory);
  // The same work continues in place, with another engine only if that was requested; run-node reports or refuses it.
  if (there?.key !== key) return there?.work === work && !isFinished && isChosen(machine) ? 'begun' : 'superseded';
  if (!isFinished) return 'begun';
  return (await verifyManifest(directory)).length === 0 ? 'finished' : 'superseded';
}

/**
 * Creates the folder of a pipeline's node that is about to run. The work of another config in it is renamed, never
 * deleted; in that case the new name is returned.
 */
export async function prepareFolder(node: PlanNode, standing: Standing): Promise<string | undefined> {
  const { directory } = node.job;
  requireUnlocked(directory);
  const aside = standing === 'superseded' && (await holdsWork(directory)) ? await setAside(directory) : undefined;
  await describeRun(node);
  return aside;
}

/**
 * Creates the folder of a stage that runs alone. Nothing is renamed.
 * @throws RequestError if the folder contains other work
 */
export async function prepareOwnFolder(node: PlanNode, standing: Standing): Promise<void> {
  const { directory } = node.job;
  requireUnlocked(directory);
  await requireWritable(directory);
  if (standing === 'superseded' && (await holdsWork(directory))) {
    const hint = `choose another folder, such as --out ${freeFolder(directory)}`;
    throw new RequestError({ where: '--out', message: await occupation(node), hint }, `mixtune ${node.job.run}`);
  }
  await describeRun(node);
}

/** Writes the job for the node's process, and the config with the origin of each value for later readers. */
async function describeRun({ job, config, origins }: PlanNode): Promise<void> {
  await forgetEnding(join(job.directory, fileNames.records));
  await writeJob(job);
  const header = `${job.id}: what \`${job.run}\` ran with, and where each value came from`;
  await writeFileAtomically(
    join(job.directory, fileNames.config),
    annotatedYaml({ ...config, ...job.machine, seed: job.seed }, origins, header),
  );
}

/** @throws RequestError if nothing can be written below the directory */
export async function requireWritable(directory: string): Promise<void> {
  const probe = join(directory, `.probe-${process.pid}`);
  try {
    await mkdir(probe, { recursive: true });
    await rmdir(probe);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new RequestError({
      message: `nothing can be written there (${code ?? message})`,
      where: directory,
      hint: 'choose another folder with --out',
    });
  }
}

async function keyOf(directory: string): Promise<string | undefined> {
  return (await jobOf(directory))?.key;
}

function jobOf(directory: string): Promise<NodeJob | undefined> {
  return readJob(join(directory, fileNames.job)).catch(() => undefined);
}

const isChosen = ({ backend, precision }: Machine) => backend !== 'auto' || precision !== 'auto';

/** The files that a run writes before its first step. */
const { job, config, log, records, lock, cache } = fileNames;
const beginnings: ReadonlySet<string> = new Set([job, config, log, records, lock, cache]);

/** Whether the folder contains completed steps or anything that was not written by a run. */
async function holdsWork(directory: string): Promise<boolean> {
  if ((await readdir(directory)).some((name) => !beginnings.has(name))) return true;
  return (await readRecords(join(directory, fileNames.records))).some(({ type }) => type === 'step');
}

/** Describes what occupies a folder that a stage should be written to. */
async function occupation({ job }: PlanNode): Promise<string> {
  const place = shown(job.directory);
  const found = await readRun(job.directory).catch(() => undefined);
  if (!found) return `${place} exists, and contains something other than a run`;
  if ((await keyOf(job.directory)) === job.key)
    return `${place} holds this run, but files of its result have changed since`;
  const there = { ...found.config, run: found.run, seed: found.seed };
  const here = { ...job.config, ...job.machine, run: job.run, seed: job.seed };
  const changed = unequal(there, here).map(
    ({ name, values: [before, now] }) => `${name} ${inWords(before)} there, ${inWords(now)} here`,
  );
  const how = changed.length > 0 ? changed.slice(0, 3).join('; ') : 'other data or models were read';
  return `${place} holds ${found.status === 'finished' ? 'the result' : 'the steps'} of a run with other settings (${how})`;
}

const inWords = (value: unknown): string => (value === undefined ? 'not given' : JSON.stringify(value));

async function setAside(directory: string): Promise<string> {
  const base = `${directory}.old-${((await keyOf(directory)) ?? 'unknown').slice(0, 8)}`;
  let name = base;
  for (let count = 2; existsSync(name); count++) name = `${base}-${count}`;
  await mkdir(dirname(directory), { recursive: true });
  await rename(directory, name);
  return name;
}
