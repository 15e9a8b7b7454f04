import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { own } from '../config/own.ts';
import { RequestError } from '../errors.ts';
import { fileNames } from './file-names.ts';
import { readJob } from './node-file.ts';
import { counters, type MetricsRecord, readRecords } from './records.ts';
import { type RunStatus, statusOf } from './status.ts';

/** The run of one node, as read from its folder. */
export interface Run {
  /** Path relative to the folder that was listed. */
  name: string;
  directory: string;
  /** Name of the stage that ran. */
  run: string;
  variant?: string;
  seed: number;
  status: RunStatus;
  step: number;
  seconds: number;
  /** The config as written, with backend and precision. */
  config: Readonly<Record<string, unknown>>;
  /** The last values of the step records, and of the evaluations with the prefix `eval/`. */
  metrics: Readonly<Record<string, number>>;
}

/** All runs below a folder, including those that were set aside, sorted by name. */
export async function listRuns(folder: string): Promise<Run[]> {
  if (!existsSync(folder)) {
    throw new RequestError({ where: folder, message: 'does not exist', hint: 'runs are written below checkpoints/' });
  }
  const files = await readdir(folder, { recursive: true, withFileTypes: true });
  const nodes = files.filter(({ name }) => name === fileNames.job).map(({ parentPath }) => parentPath);
  return Promise.all(
    nodes.sort().map(async (directory) => ({ ...(await readRun(directory)), name: relative(folder, directory) })),
  );
}

/** @throws RequestError if the folder does not contain a run */
export async function readRun(directory: string): Promise<Run> {
  if (!existsSync(join(directory, fileNames.job))) {
    throw new RequestError({
      where: directory,
      message: 'holds no run',
      hint: `give a folder with a metrics.jsonl, such as those of: mixtune runs list ${dirname(directory)}`,
    });
  }
  const { run, variant, seed, config, machine } = await readJob(join(directory, fileNames.job));
  const records = await readRecords(join(directory, fileNames.records));
  const last = records.at(-1);
  return {
    name: directory,
    directory,
    run,
    ...(variant === undefined ? {} : { variant }),
    seed,
    status: statusOf(directory, records),
    step: records.reduce((most, { step }) => Math.max(most, step), 0),
    seconds: typeof last?.seconds === 'number' ? last.seconds : 0,
    config: { ...config, ...machine },
    metrics: { ...metricsOf(records, 'step', ''), ...metricsOf(records, 'eval', 'eval/') },
  };
}

function metricsOf(records: readonly MetricsRecord[], type: string, prefix: string): Record<string, number> {
  const last = records.findLast((record) => record.type === type) ?? {};
  return Object.fromEntries(
    Object.entries(last)
      .filter((entry): entry is [string, number] => typeof entry[1] === 'number' && !counters.has(entry[0]))
      .map(([name, value]) => [`${prefix}${name}`, value]),
  );
}

export interface Difference {
  name: string;
  values: [unknown, unknown];
}

/** The config keys and metrics in which two runs differ. */
export function differences(a: Run, b: Run): { config: Difference[]; metrics: Difference[] } {
  return { config: unequal(a.config, b.config), metrics: unequal(a.metrics, b.metrics) };
}

/** The keys whose values differ as JSON, with both values. */
export function unequal(a: Readonly<Record<string, unknown>>, b: Readonly<Record<string, unknown>>): Difference[] {
  return [...new Set([...Object.keys(a), ...Object.keys(b)])]
    .filter((name) => JSON.stringify(own(a, name)) !== JSON.stringify(own(b, name)))
    .map((name) => ({ name, values: [own(a, name), own(b, name)] }));
}
