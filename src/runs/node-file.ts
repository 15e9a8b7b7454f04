import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { writeFileAtomically } from '../checkpoint/atomic.ts';
import { parseJson } from '../config/json.ts';
import { validate } from '../config/validate.ts';
import type { Use } from '../data/rows.ts';
import { RequestError } from '../errors.ts';
import { fileNames } from './file-names.ts';
import { machineSchema } from './machine.ts';

/** Version of the run folder's format; part of every content key. */
export const formatVersion = 1;

/** Hashes of a node's input data, from which its key was computed; results of other nodes have a manifest instead. */
const readsSchema = z.strictObject({
  datasets: z.array(z.strictObject({ source: z.string(), use: z.custom<Use>(), hash: z.string() })),
  directories: z.record(z.string(), z.string()),
  files: z.record(z.string(), z.string()),
});

export type Reads = z.infer<typeof readsSchema>;

const jobSchema = z.strictObject({
  format: z.literal(formatVersion),
  id: z.string(),
  /** Name in the pipeline. */
  stage: z.string(),
  /** What runs: the name of a Stage. */
  run: z.string(),
  variant: z.string().optional(),
  seed: z.int().nonnegative(),
  key: z.string(),
  /** Like `key`, but independent of backend and precision. */
  work: z.string().optional(),
  /** Absolute folder of this node. */
  directory: z.string(),
  /** Absolute folder that relative data paths start from. */
  baseDirectory: z.string(),
  reads: readsSchema.optional(),
  machine: machineSchema,
  /** As written, without the defaults of the stage's schema. */
  config: z.record(z.string(), z.unknown()),
  inputs: z.record(
    z.string(),
    z.array(
      z.strictObject({
        name: z.string(),
        directory: z.string(),
        variant: z.string().optional(),
        seed: z.int().optional(),
      }),
    ),
  ),
});

/** Everything that a process needs to run one node; saved in the node's folder as `node.json`. */
export type NodeJob = z.infer<typeof jobSchema>;

/** Writes the job into its folder, which is created if it does not exist. */
export async function writeJob(job: NodeJob): Promise<void> {
  await mkdir(job.directory, { recursive: true });
  await writeFileAtomically(join(job.directory, fileNames.job), `${JSON.stringify(job, null, 2)}\n`);
}

/** @throws RequestError if the file does not exist or is not a job of this version */
export async function readJob(file: string): Promise<NodeJob> {
  const text = await readFile(file, 'utf8').catch(() => undefined);
  if (text === undefined) throw new RequestError({ message: 'there is no such file', where: file });
  const { value, problems } = validate(jobSchema, jsonOf(text), { where: (path) => path.join('.') });
  if (value) return value;
  const hint = problems.map(({ where, message }) => (where ? `\`${where}\`: ${message}` : message)).join('; ');
  throw new RequestError({ message: 'this is not a job of this version of mixtune', where: file, hint });
}

function jsonOf(text: string): unknown {
  try {
    return parseJson(text);
  } catch {
    return undefined;
  }
}
