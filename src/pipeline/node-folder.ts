import { existsSync } from 'node:fs';
import { mkdir, rename, rmdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { readManifest, verifyManifest } from '../checkpoint/manifest.ts';
import { annotatedYaml } from '../config/resolved.ts';
import { RequestError } from '../errors.ts';
import { readJob, writeJob } from './job.ts';
import { requireUnlocked } from './node-lock.ts';
import type { PlanNode } from './plan.ts';

/** What there is of a node: its result, something to go on from, the work of another config, or nothing. */
export type NodeStatus = 'finished' | 'begun' | 'superseded' | 'new';

/** A finished node whose files have been damaged since counts as superseded: it is run again and kept aside. */
export async function nodeStatus({ directory, key }: PlanNode['job']): Promise<NodeStatus> {
  if (!existsSync(directory)) return 'new';
  if ((await keyOf(directory)) !== key) return 'superseded';
  if (!existsSync(join(directory, 'manifest.json'))) return 'begun';
  return (await verifyManifest(directory)).length === 0 ? 'finished' : 'superseded';
}

/** True where the folder holds a whole result, whatever config made it. */
export async function hasResult(directory: string): Promise<boolean> {
  return (await readManifest(directory)) !== undefined && (await verifyManifest(directory)).length === 0;
}

/** Makes the folder of a node that is about to run: what another config left there is renamed, never deleted. */
export async function prepareFolder(node: PlanNode, status: NodeStatus): Promise<void> {
  const { job, config, origins } = node;
  requireUnlocked(job.directory);
  if (status === 'superseded') await setAside(job.directory);
  await writeJob(job);
  const header = `${job.id}: what \`${job.run}\` ran with, and where each value came from`;
  await writeFile(
    join(job.directory, 'config.yaml'),
    annotatedYaml({ ...config, ...job.machine, seed: job.seed }, origins, header),
  );
}

/** @throws RequestError where nothing can be written below the directory. */
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
  const job = await readJob(join(directory, 'node.json')).catch(() => undefined);
  return job?.key;
}

async function setAside(directory: string): Promise<void> {
  const base = `${directory}.old-${((await keyOf(directory)) ?? 'unknown').slice(0, 8)}`;
  let name = base;
  for (let count = 2; existsSync(name); count++) name = `${base}-${count}`;
  await mkdir(dirname(directory), { recursive: true });
  await rename(directory, name);
}
