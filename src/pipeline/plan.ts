import { join } from 'node:path';
import { presetValues } from '../config/presets.ts';
import type { Origins } from '../config/resolved.ts';
import { schemaKeys } from '../config/schema-keys.ts';
import { type Problem, RequestError } from '../errors.ts';
import { fileNames } from '../runs/file-names.ts';
import { formatVersion, type NodeJob, type Reads } from '../runs/node-file.ts';
import type { PlanFile } from '../runs/plan-file.ts';
import type { DatasetSource, Stage, StageInput } from '../stages/stage.ts';
import { type Contents, contentKey } from './contents.ts';
import type { Pipeline } from './pipeline-file.ts';
import { type Reference, readStages, type StageOptions, type StageVersion } from './stage-versions.ts';

/** One stage for one variant and seed. */
export interface PlanNode {
  job: NodeJob;
  stage: Stage;
  /** Folder below the pipeline's. */
  directory: string;
  datasets: readonly DatasetSource[];
  /** Ids of the nodes whose results this one reads. */
  inputs: string[];
  /** With defaults. */
  config: Readonly<Record<string, unknown>>;
  origins: Origins;
}

export interface Plan {
  pipeline: string;
  /** Absolute folder of the pipeline. */
  directory: string;
  /** Each node after those that it reads. */
  nodes: PlanNode[];
}

export interface PlanOptions extends StageOptions {
  /** Absolute folder of the pipeline. */
  directory: string;
}

/** The plan as plan.json holds it and `--dry-run --json` prints it. */
export function planDocument({ pipeline, nodes }: Plan): PlanFile {
  return {
    pipeline,
    nodes: nodes.map(({ job: { id, stage, run, variant, seed, key }, directory, inputs }) => ({
      ...{ id, stage, run, variant, seed, key, directory, inputs },
    })),
  };
}

/** How a stage spreads over variants and seeds. */
interface Spread {
  variants: readonly (string | undefined)[];
  seeds: readonly number[];
}

/**
 * The product of stages, variants and seeds as a graph, each node with its content key. A stage that no variant
 * touches, itself or in what it reads, is there once for all variants (`shared`); likewise for seeds, of which a stage
 * may also name one for itself. Everything that can be known to be wrong before work is one RequestError.
 */
export async function makePlan(pipeline: Pipeline, options: PlanOptions): Promise<Plan> {
  const { versions, order } = await readStages(pipeline, options);
  const plan: Plan = { pipeline: pipeline.name, directory: options.directory, nodes: [] };
  const spreads = new Map<string, Spread>();
  for (const name of order) {
    const own = versions.filter((version) => version.name === name);
    const spread = spreadOf(own, spreads, pipeline);
    requireSeeds(own, spreads, pipeline);
    spreads.set(name, spread);
    for (const variant of spread.variants) {
      const version = own.find((candidate) => candidate.variant === variant) ?? own[0]!;
      for (const seed of spread.seeds) {
        plan.nodes.push(await makeNode({ ...version, variant }, seed, plan, pipeline, options));
      }
    }
  }
  return plan;
}

type Spreads = ReadonlyMap<string, Spread>;

function spreadOf(own: readonly StageVersion[], spreads: Spreads, pipeline: Pipeline): Spread {
  const read = own.flatMap((version) => stagesRead(version).map(({ name }) => spreads.get(name)!));
  const byVariant =
    own.some(({ variant }) => variant !== undefined) || read.some(({ variants }) => variants[0] !== undefined);
  const bySeed = own.some(({ stage }) => stage.isRandom) || read.some(({ seeds }) => seeds.length > 1);
  const { seed } = pipeline.stages[own[0]!.name]!;
  const seeds = bySeed ? pipeline.seeds : pipeline.seeds.slice(0, 1);
  return {
    variants: byVariant ? Object.keys(pipeline.variants) : [undefined],
    seeds: seed === undefined ? seeds : [seed],
  };
}

/** The stages of which it reads the result of its own variant and seed, each with the key that names it. */
function stagesRead({ stage, references }: StageVersion): { key: string; name: string }[] {
  return Object.entries(references).flatMap(([key, named]) =>
    stage.inputs[key]?.many
      ? []
      : named.flatMap((reference) => ('stage' in reference ? [{ key, name: reference.stage }] : [])),
  );
}

/** @throws RequestError where a stage with a seed of its own reads one that has no result of that seed */
function requireSeeds(own: readonly StageVersion[], spreads: Spreads, { stages, place, file }: Pipeline): void {
  const { name: reader } = own[0]!;
  const { seed } = stages[reader]!;
  if (seed === undefined) return;
  const path = ['stages', reader, 'seed'];
  const problems = own.flatMap(stagesRead).flatMap(({ key, name }): Problem[] => {
    const { seeds } = spreads.get(name)!;
    if (seeds.length === 1 || seeds.includes(seed)) return [];
    const line = place.line?.(path);
    const message = `\`${key}\` reads \`${name}\`, which runs with the seeds ${seeds.join(', ')}`;
    const hint = `take one of these, or give \`${name}\` a \`seed\` as well`;
    return [{ where: place.where(path), message, hint, ...(line === undefined ? {} : { line }) }];
  });
  if (problems.length > 0) throw new RequestError(problems.slice(0, 1), file);
}

async function makeNode(
  version: StageVersion,
  seed: number,
  plan: Plan,
  pipeline: Pipeline,
  { baseDirectory, contents }: PlanOptions,
): Promise<PlanNode> {
  const { name, variant, stage, machine, written, config } = version;
  const directory = join(name, variant ?? 'shared', `seed-${seed}`);
  const inputs: Record<string, ResolvedInput[]> = {};
  for (const [key, references] of Object.entries(version.references)) {
    const reader = stage.inputs[key]?.many ? undefined : { variant, seed };
    inputs[key] = (
      await Promise.all(references.map((reference) => resolveInput(reference, reader, plan, contents)))
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
  };
}

/** Keys that were written, those whose values a preset gave, and those that the schema made out of others. */
function originsOf({ stage, written, scaled, config, paths }: StageVersion, { place, scale }: Pipeline): Origins {
  const withDefault = schemaKeys(stage.schema).flatMap((key) => (key.default === undefined ? [] : [key.name]));
  const inferred = Object.keys(config).filter((key) => !withDefault.includes(key) && config[key] !== undefined);
  return Object.fromEntries([
    ...inferred.map((key) => [key, 'inferred']),
    ...Object.keys(presetValues(stage.presets?.preset, written)).map((key) => [key, `preset ${written.preset}`]),
    ...Object.entries(paths).map(([key, path]) => [key, place.origin(path)]),
    ...scaled.map((key) => [key, `--scale ${scale}`]),
  ]);
}

interface ResolvedInput {
  input: StageInput;
  /** Content key of a node, or hash of a directory's files. */
  key: string;
  /** Id of the node that makes it. */
  node?: string;
}

/** What a reference leads to for one reader: every variant and seed of a stage where there is none. */
async function resolveInput(
  reference: Reference,
  reader: { variant: string | undefined; seed: number } | undefined,
  plan: Plan,
  contents: Contents,
): Promise<ResolvedInput[]> {
  if ('directory' in reference) return [{ input: reference, key: await contents.directory(reference.directory) }];
  const nodes = plan.nodes.filter(({ job }) => job.stage === reference.stage);
  const seeds = new Set(nodes.map(({ job }) => job.seed));
  const isRead = ({ job }: PlanNode) =>
    !reader ||
    ((job.variant === undefined || job.variant === reader.variant) && (seeds.size === 1 || job.seed === reader.seed));
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

/** Keys whose values decide the result. Names of stages and files do not: what they lead to does. */
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
