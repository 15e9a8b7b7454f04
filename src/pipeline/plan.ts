import { join } from 'node:path';
import { presetValues } from '../config/presets.ts';
import type { Origins } from '../config/resolved.ts';
import { schemaKeys } from '../config/schema-keys.ts';
import { type Decision, decide } from '../evaluation/sweep-choice.ts';
import { fileNames } from '../runs/file-names.ts';
import { formatVersion, type NodeJob, type Reads } from '../runs/node-file.ts';
import type { PlanFile, Values } from '../runs/plan-file.ts';
import type { DatasetSource, Stage, StageInput } from '../stages/stage.ts';
import { type Contents, contentKey } from './contents.ts';
import type { Pipeline } from './pipeline-file.ts';
import { requireSeeds, type Spread, spreadOf } from './spread.ts';
import { type Reference, readStages, type StageOptions, type StageVersion } from './stage-versions.ts';
import { folderOf, ruleOf, type Sweep, type SweepPoint } from './sweep.ts';
import { trialOf } from './trials.ts';

/** One stage for one variant and seed. */
export interface PlanNode {
  job: NodeJob;
  stage: Stage;
  /** Folder, relative to the pipeline's. */
  directory: string;
  datasets: readonly DatasetSource[];
  /** Ids of the nodes whose results this one reads. */
  inputs: string[];
  /** The stage's keys, including defaults. */
  config: Readonly<Record<string, unknown>>;
  origins: Origins;
  /** The values being tried, if this is a trial of a sweep. */
  trial?: Values;
  /**
   * Ids of the sweeps that have yet to decide the values of this node or of a node it reads. Until then its config has
   * one of the candidates as a placeholder, and its config and key mean nothing.
   */
  awaits: string[];
}

/** A sweep of a stage for one variant. */
export interface PlannedSweep {
  /** Folder of its trials, relative to the pipeline's. */
  id: string;
  stage: string;
  variant: string | undefined;
  sweep: Sweep;
  trials: PlanNode[];
  decision: Decision;
}

export interface Plan {
  pipeline: string;
  /** Absolute folder of the pipeline. */
  directory: string;
  /** Each node after those it reads; includes the trials of undecided sweeps. */
  nodes: PlanNode[];
  /** Of the setting that the plan has: none where `--set` or `--scale` has changed it. */
  published: Pipeline['published'];
  sweeps: PlannedSweep[];
}

export interface PlanOptions extends StageOptions {
  /** Absolute folder of the pipeline. */
  directory: string;
}

/** The plan in the form of plan.json and of `--dry-run --json`. */
export function planDocument({ pipeline, nodes, published, sweeps }: Plan): PlanFile {
  const stageNodes = nodes.filter(({ trial }) => !trial);
  return {
    pipeline,
    nodes: stageNodes.map(({ job: { id, stage, run, variant, seed, key }, directory, inputs, awaits }) => ({
      ...{ id, stage, run, variant, seed, directory, inputs },
      ...(awaits.length > 0 ? {} : { key }),
    })),
    published,
    sweeps: sweeps.map(({ id, stage, variant, sweep, trials, decision }) => ({
      ...{ id, stage, variant, ...ruleOf(sweep), budget: sweep.budget },
      trials: trials.map(({ job: { id, seed }, directory, trial = {} }) => ({ id, seed, values: trial, directory })),
      ...(decision.status === 'chosen' ? { chosen: decision.values } : {}),
      ...(decision.status === 'failed' ? { problem: decision.message } : {}),
    })),
  };
}

/**
 * The product of stages, variants and seeds as a graph of nodes with content keys. A stage appears once for all
 * variants (`shared`) if no variant changes it or anything it reads; likewise for seeds. A stage may set its own seed.
 *
 * A stage with a sweep runs with the values that its trials chose, according to the content of their folders. Until all
 * trials have ended, its nodes and all nodes that read them wait; then planning again gives these nodes their keys.
 * @throws RequestError with all problems that can be found before any work starts
 */
export async function makePlan(pipeline: Pipeline, options: PlanOptions): Promise<Plan> {
  const { versions, order } = await readStages(pipeline, options);
  const published = (pipeline.scale ?? 1) === 1 ? pipeline.published : [];
  const plan: Plan = { pipeline: pipeline.name, directory: options.directory, nodes: [], published, sweeps: [] };
  const spreads = new Map<string, Spread>();
  for (const name of order) {
    const own = versions.filter((version) => version.name === name);
    const spread = spreadOf(own, spreads, pipeline);
    requireSeeds(own, spreads, pipeline);
    spreads.set(name, spread);
    for (const variant of spread.variants) {
      const touched = own.some((version) => version.variant === variant) ? variant : own[0]!.variant;
      const versions = own.filter((version) => version.variant === touched).map((version) => ({ ...version, variant }));
      const make = (version: StageVersion, reader: Reader) => makeNode(version, reader, plan, pipeline, options);
      const { version, awaits } = await decidedVersion(versions, plan, make);
      for (const seed of spread.seeds) {
        const node = await make(version, { variant, seed });
        plan.nodes.push({ ...node, awaits: [...new Set([...awaits, ...node.awaits])] });
      }
    }
  }
  return plan;
}

/**
 * The version of a stage that its nodes run: the only one, or the one with the values that its sweep chose. Trials of a
 * sweep are added to the plan until it is decided.
 */
async function decidedVersion(
  versions: readonly StageVersion[],
  plan: Plan,
  make: (version: StageVersion, reader: Reader) => Promise<PlanNode>,
): Promise<{ version: StageVersion; awaits: string[] }> {
  const [first] = versions as [StageVersion];
  const { name, variant, point } = first;
  if (!point) return { version: first, awaits: [] };
  const { sweep } = point;
  const trials: PlanNode[] = [];
  for (const version of versions.filter((version) => version.point?.isTrial)) {
    for (const [place, seed] of sweep.seeds.entries()) trials.push(await make(version, { variant, seed, place }));
  }
  const isReady = trials.every(({ awaits }) => awaits.length === 0);
  const decision: Decision = isReady
    ? decide(await Promise.all(trials.map(({ job, trial = {} }) => trialOf(job, trial, sweep.metric))), ruleOf(sweep))
    : { status: 'open' };
  const id = join(name, variant ?? 'shared', 'sweep');
  plan.sweeps.push({ id, stage: name, variant, sweep, trials, decision });
  if (decision.status === 'open') plan.nodes.push(...trials);
  if (decision.status !== 'chosen') return { version: first, awaits: [id] };
  const isChosen = ({ values, isTrial }: SweepPoint) => !isTrial && values === decision.values;
  return { version: versions.find((version) => isChosen(version.point!))!, awaits: [] };
}

async function makeNode(
  version: StageVersion,
  reader: Reader,
  plan: Plan,
  pipeline: Pipeline,
  { baseDirectory, contents }: PlanOptions,
): Promise<PlanNode> {
  const { name, variant, stage, machine, written, config, point } = version;
  const { seed } = reader;
  const trial = point?.isTrial ? point.values : undefined;
  const place = trial ? join('sweep', folderOf(trial)) : '';
  const directory = join(name, variant ?? 'shared', place, `seed-${seed}`);
  const inputs: Record<string, ResolvedInput[]> = {};
  for (const [key, references] of Object.entries(version.references)) {
    const one = stage.inputs[key]?.many ? undefined : reader;
    inputs[key] = (
      await Promise.all(references.map((reference) => resolveInput(reference, one, plan, contents)))
    ).flat();
  }
  const named = Object.values(inputs)
    .flat()
    .filter(({ node }) => node === undefined);
  const reads: Reads = {
    datasets: [],
    directories: Object.fromEntries(named.map(({ input, key }) => [input.directory, key])),
    files: {},
  };
  const datasets: Record<string, string[]> = {};
  for (const { key, source, use } of version.datasets) {
    datasets[key] = [...(datasets[key] ?? []), await contents.dataset(source, use)];
    reads.datasets.push({ source, use, hash: await contents.dataset(source, use) });
  }
  const files: Record<string, string> = {};
  for (const key of stage.files ?? []) {
    const path = config[key];
    if (typeof path === 'string') reads.files[path] = files[key] = await contents.file(path);
  }
  const work = {
    run: stage.name,
    seed: stage.isRandom ? seed : undefined,
    config: decidingKeys(stage, config),
    datasets,
    inputs: mapValues(inputs, ({ key }) => key),
    ...(Object.keys(files).length > 0 ? { files } : {}),
  };
  const job: NodeJob = {
    format: formatVersion,
    id: directory,
    stage: name,
    run: stage.name,
    ...(variant === undefined ? {} : { variant }),
    seed,
    key: contentKey({ ...work, machine }),
    work: contentKey(work),
    directory: join(plan.directory, directory),
    baseDirectory,
    reads,
    machine,
    config: written,
    inputs: mapValues(inputs, ({ input }) => input),
  };
  const ids = Object.values(inputs).flatMap((list) => list.flatMap(({ node }) => node ?? []));
  return {
    job,
    stage,
    directory,
    datasets: version.datasets,
    inputs: [...new Set(ids)],
    config,
    origins: originsOf(version, pipeline),
    ...(trial ? { trial } : {}),
    awaits: [...new Set(plan.nodes.flatMap(({ job, awaits }) => (ids.includes(job.id) ? awaits : [])))],
  };
}

/** Where values came from: keys that were written, keys of a preset, and keys that the schema inferred from others. */
function originsOf(
  { stage, written, scaled, config, paths, point }: StageVersion,
  { place, scale }: Pipeline,
): Origins {
  const withDefault = schemaKeys(stage.schema).flatMap((key) => (key.default === undefined ? [] : [key.name]));
  const inferred = Object.keys(config).filter((key) => !withDefault.includes(key) && config[key] !== undefined);
  return Object.fromEntries([
    ...inferred.map((key) => [key, 'inferred']),
    ...Object.keys(presetValues(stage.presets?.preset, written)).map((key) => [key, `preset ${written.preset}`]),
    ...Object.entries(paths).map(([key, path]) => [key, place.origin(path)]),
    ...Object.keys(point?.values ?? {}).map((key) => [
      key,
      `${point?.isTrial ? 'tried' : 'chosen'} by the sweep, ${place.origin(paths[key]!)}`,
    ]),
    ...scaled.map((key) => [key, `--scale ${scale}`]),
  ]);
}

/** The variant and seed that read a stage; in a sweep, also the index of the seed among the sweep's seeds. */
interface Reader {
  variant: string | undefined;
  seed: number;
  place?: number;
}

interface ResolvedInput {
  input: StageInput;
  /** Content key of a node, or hash of a directory's files. */
  key: string;
  /** Id of the node that produces it. */
  node?: string;
}

/** The inputs that a reference stands for: those for one reader, or every variant and seed without a reader. */
async function resolveInput(
  reference: Reference,
  reader: Reader | undefined,
  plan: Plan,
  contents: Contents,
): Promise<ResolvedInput[]> {
  if ('directory' in reference) return [{ input: reference, key: await contents.directory(reference.directory) }];
  const nodes = plan.nodes.filter(({ job, trial }) => job.stage === reference.stage && !trial);
  const seeds = [...new Set(nodes.map(({ job }) => job.seed))];
  const seed = reader && (seeds.includes(reader.seed) ? reader.seed : seeds[(reader.place ?? 0) % seeds.length]);
  const isRead = ({ job }: PlanNode) =>
    !reader || ((job.variant === undefined || job.variant === reader.variant) && job.seed === seed);
  return nodes.filter(isRead).map(({ job: { id, key, stage: name, variant, seed, directory } }) => {
    const input = {
      name,
      directory: join(directory, fileNames.final),
      ...(variant === undefined ? {} : { variant }),
      seed,
    };
    return { input, key, node: id };
  });
}

/** The keys whose values affect the result. Names of stages and files do not; the content behind them does. */
export function decidingKeys(
  { schema, inputs, datasets }: Pick<Stage, 'schema' | 'inputs' | 'datasets'>,
  config: PlanNode['config'],
): PlanNode['config'] {
  const idle = schemaKeys(schema).flatMap(({ name, changesResult }) => (changesResult ? [] : [name]));
  const others = new Set([...idle, ...Object.keys(inputs), ...Object.keys(datasets)]);
  return Object.fromEntries(Object.entries(config).filter(([key]) => !others.has(key)));
}

function mapValues<A, B>(lists: Readonly<Record<string, readonly A[]>>, map: (item: A) => B): Record<string, B[]> {
  return Object.fromEntries(Object.entries(lists).map(([key, list]) => [key, list.map(map)]));
}
