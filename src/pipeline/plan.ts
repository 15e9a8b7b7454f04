import { join } from 'node:path';
import type { Origins } from '../config/resolved.ts';
import { suggestion } from '../config/suggest.ts';
import type { Path } from '../config/yaml-file.ts';
import { type Problem, RequestError } from '../errors.ts';
import type { Stage, StageInput } from '../stages/stage.ts';
import { type Contents, contentKey } from './contents.ts';
import { dependencyOrder } from './graph.ts';
import { formatVersion, type Machine, type NodeJob } from './job.ts';
import type { Pipeline } from './pipeline-file.ts';
import { datasetValues, inputValues, resolveStage } from './stage-config.ts';
import { looksLikePath, userDirectory } from './user-directory.ts';

/** One stage for one variant and seed. */
export interface PlanNode {
  job: NodeJob;
  stage: Stage;
  /** Folder below the pipeline's. */
  directory: string;
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

export interface PlanOptions {
  stages: readonly Stage[];
  /** Absolute folder of the pipeline. */
  directory: string;
  baseDirectory: string;
  contents: Contents;
}

/** A stage as one variant has it. */
interface StageVersion {
  name: string;
  variant: string | undefined;
  stage: Stage;
  machine: Machine;
  /** As written. */
  written: Readonly<Record<string, unknown>>;
  config: Readonly<Record<string, unknown>>;
  /** Path of each written key in the file. */
  paths: Readonly<Record<string, Path>>;
  /** By input key: a stage of the pipeline, or a directory of the user's. */
  references: Record<string, Reference[]>;
}

type Reference = { name: string; stage: string } | { name: string; directory: string };

/** How a stage spreads over variants and seeds. */
interface Spread {
  variants: readonly (string | undefined)[];
  seeds: readonly number[];
}

/**
 * The product of stages, variants and seeds as a graph, each node with its content key. A stage that no variant touches,
 * itself or in what it reads, is there once for all variants (`shared`); likewise for seeds. Everything that can be known
 * to be wrong before work is one RequestError.
 */
export async function makePlan(pipeline: Pipeline, options: PlanOptions): Promise<Plan> {
  const problems: Problem[] = [...unknownStagesOfVariants(pipeline)];
  const versions = stageVersions(pipeline, options, problems);
  const { order, cycle } = stageOrder(pipeline, versions);
  if (cycle) {
    problems.push(
      problemAt(pipeline, ['stages', cycle[0]!], `the stages depend on each other in a cycle: ${cycle.join(' → ')}`),
    );
  }
  problems.push(...(await dataProblems(pipeline, versions, options.contents)));
  if (problems.length > 0 || !order) throw new RequestError(distinct(problems), pipeline.file);

  const plan: Plan = { pipeline: pipeline.name, directory: options.directory, nodes: [] };
  for (const { name, spread } of spreadStages(pipeline, order, versions)) {
    for (const variant of spread.variants) {
      for (const seed of spread.seeds)
        plan.nodes.push(await makeNode(versionOf(versions, name, variant), seed, plan, pipeline, options));
    }
  }
  return plan;
}

function unknownStagesOfVariants(pipeline: Pipeline): Problem[] {
  const names = Object.keys(pipeline.stages);
  return Object.entries(pipeline.variants).flatMap(([variant, stages]) =>
    Object.keys(stages)
      .filter((stage) => !names.includes(stage))
      .map((stage) =>
        problemAt(pipeline, ['variants', variant, stage], 'the pipeline has no such stage', suggestion(stage, names)),
      ),
  );
}

function stageVersions(pipeline: Pipeline, options: PlanOptions, problems: Problem[]): StageVersion[] {
  const variants = [undefined, ...Object.keys(pipeline.variants)];
  return Object.entries(pipeline.stages).flatMap(([name, { run }]) => {
    const stage = options.stages.find((candidate) => candidate.name === run);
    if (!stage) {
      const known = options.stages.map((candidate) => candidate.name);
      problems.push(
        problemAt(pipeline, ['stages', name, 'run'], `there is no stage \`${run}\``, suggestion(run, known)),
      );
      return [];
    }
    // The stage without any variant is checked too, so that a key which every variant overrides cannot be wrong unseen.
    return variants
      .filter((variant) => variant === undefined || touches(pipeline, variant, name))
      .map((variant) => stageVersion(pipeline, name, variant, stage, options, problems));
  });
}

function touches(pipeline: Pipeline, variant: string, stage: string): boolean {
  return pipeline.variants[variant]?.[stage] !== undefined;
}

function stageVersion(
  pipeline: Pipeline,
  name: string,
  variant: string | undefined,
  stage: Stage,
  options: PlanOptions,
  problems: Problem[],
): StageVersion {
  const { run: _, ...base } = pipeline.stages[name]!;
  const overrides = (variant === undefined ? undefined : pipeline.variants[variant]?.[name]) ?? {};
  const written = { ...base, ...overrides };
  const root = (key: string): Path =>
    key in overrides && variant !== undefined ? ['variants', variant, name] : ['stages', name];
  const pathOf = (path: Path): Path => [...root(String(path[0] ?? '')), ...path];
  const resolved = resolveStage(stage, written, {
    where: (path) => pipeline.place.where(pathOf(path)),
    line: (path) => pipeline.place.line?.(pathOf(path)),
  });
  const overridden = allVariantsOverride(pipeline, name) && variant === undefined;
  problems.push(
    ...(overridden ? resolved.problems.filter(({ message }) => message === 'unknown key') : resolved.problems),
  );
  const paths = Object.fromEntries(Object.keys(written).map((key) => [key, pathOf([key])]));
  const version = {
    name,
    variant,
    stage,
    machine: resolved.machine,
    written,
    config: resolved.config,
    paths,
    references: {},
  };
  return { ...version, references: resolveReferences(version, pipeline, options, problems) };
}

/** Where every variant completes a stage, the stage alone need not be complete. */
function allVariantsOverride(pipeline: Pipeline, stage: string): boolean {
  const variants = Object.keys(pipeline.variants);
  return variants.length > 0 && variants.every((variant) => touches(pipeline, variant, stage));
}

function resolveReferences(
  version: Omit<StageVersion, 'references'>,
  pipeline: Pipeline,
  options: PlanOptions,
  problems: Problem[],
): Record<string, Reference[]> {
  const names = Object.keys(pipeline.stages);
  const resolveOne = (key: string, name: string): Reference[] => {
    if (names.includes(name)) return [{ name, stage: name }];
    const path = version.paths[key] ?? ['stages', version.name, key];
    if (!looksLikePath(name, options.baseDirectory)) {
      problems.push(problemAt(pipeline, path, `there is no stage \`${name}\``, suggestion(name, names)));
      return [];
    }
    const found = userDirectory(name, version.stage.inputs[key]!.kind, options.baseDirectory);
    if (!found.problem) return [{ name, directory: found.directory }];
    problems.push(problemAt(pipeline, path, found.problem.message, found.problem.hint));
    return [];
  };
  return Object.fromEntries(
    Object.entries(inputValues(version.stage, version.config)).map(([key, values]) => [
      key,
      values.flatMap((value) => resolveOne(key, value)),
    ]),
  );
}

function stageOrder(pipeline: Pipeline, versions: readonly StageVersion[]): { order?: string[]; cycle?: string[] } {
  const dependencies: Record<string, string[]> = Object.fromEntries(
    Object.keys(pipeline.stages).map((name) => [name, []]),
  );
  for (const { name, references } of versions) {
    for (const reference of Object.values(references).flat()) {
      if ('stage' in reference) dependencies[name]?.push(reference.stage);
    }
  }
  return dependencyOrder(dependencies);
}

async function dataProblems(
  pipeline: Pipeline,
  versions: readonly StageVersion[],
  contents: Contents,
): Promise<Problem[]> {
  const problems: Problem[] = [];
  for (const { name, stage, config, paths } of versions) {
    for (const [key, sources] of Object.entries(datasetValues(stage, config))) {
      for (const source of sources) {
        const path = paths[key] ?? ['stages', name, key];
        await contents.check(source, stage.datasets[key]!.use).catch((error: unknown) => {
          if (!(error instanceof RequestError)) throw error;
          for (const problem of error.problems)
            problems.push(problemAt(pipeline, path, inFile(problem, error), problem.hint));
        });
      }
    }
  }
  return problems;
}

/** A problem of a data file told on one line, so that it can stand behind the pipeline's own place. */
function inFile({ message, where, line }: Problem, { subject }: RequestError): string {
  const place = [subject, where === subject ? undefined : where, line === undefined ? undefined : `line ${line}`];
  return [...place.filter((part) => part !== undefined), message].join(', ').replace(/, ([^,]*)$/, ': $1');
}

function* spreadStages(
  pipeline: Pipeline,
  order: readonly string[],
  versions: readonly StageVersion[],
): Generator<{ name: string; spread: Spread }> {
  const variants = Object.keys(pipeline.variants);
  const spreads = new Map<string, Spread>();
  for (const name of order) {
    const own = versions.filter((version) => version.name === name);
    const read = own.flatMap(({ stage, references }) =>
      Object.entries(references)
        .filter(([key]) => !stage.inputs[key]?.many)
        .flatMap(([, list]) =>
          list.flatMap((reference) => ('stage' in reference ? [spreads.get(reference.stage)!] : [])),
        ),
    );
    const byVariant = own.length > 1 || read.some((spread) => spread.variants[0] !== undefined);
    const bySeed = drawsNumbers(own[0]!.stage) || read.some((spread) => spread.seeds.length > 1);
    const spread = {
      variants: byVariant ? variants : [undefined],
      seeds: bySeed ? pipeline.seeds : pipeline.seeds.slice(0, 1),
    };
    spreads.set(name, spread);
    yield { name, spread };
  }
}

/** A stage whose state is worth saving trains, and what trains draws random numbers. */
function drawsNumbers(stage: Stage): boolean {
  return stage.save !== undefined;
}

function versionOf(versions: readonly StageVersion[], name: string, variant: string | undefined): StageVersion {
  const own = versions.filter((version) => version.name === name);
  const found =
    own.find((version) => version.variant === variant) ?? own.find((version) => version.variant === undefined);
  return { ...found!, variant };
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
  const inputs: Record<string, StageInput[]> = {};
  const inputKeys: Record<string, string[]> = {};
  const inputNodes: PlanNode[] = [];
  for (const [key, references] of Object.entries(version.references)) {
    inputs[key] = [];
    inputKeys[key] = [];
    for (const reference of references) {
      if ('directory' in reference) {
        inputs[key].push({ name: reference.name, directory: reference.directory });
        inputKeys[key].push(await contents.directory(reference.directory));
        continue;
      }
      for (const node of nodesRead(plan, reference.stage, stage.inputs[key]?.many ? undefined : { variant, seed })) {
        inputNodes.push(node);
        inputKeys[key].push(node.job.key);
        inputs[key].push(inputOf(node));
      }
    }
  }
  const datasets: Record<string, string[]> = {};
  for (const [key, sources] of Object.entries(datasetValues(stage, config))) {
    datasets[key] = await Promise.all(sources.map((source) => contents.dataset(source, stage.datasets[key]!.use)));
  }
  const key = contentKey({
    run: stage.name,
    machine,
    seed: drawsNumbers(stage) ? seed : undefined,
    config,
    datasets,
    inputs: inputKeys,
  });
  const job: NodeJob = {
    format: formatVersion,
    id: directory,
    stage: name,
    run: stage.name,
    ...(variant === undefined ? {} : { variant }),
    seed,
    key,
    directory: join(plan.directory, directory),
    baseDirectory,
    machine,
    config: written,
    inputs,
  };
  const origins = Object.fromEntries(
    Object.entries(version.paths).map(([name, path]) => [name, pipeline.place.origin(path)]),
  );
  return { job, stage, directory, inputs: [...new Set(inputNodes.map(({ job: { id } }) => id))], config, origins };
}

/** The nodes of a stage that one node reads: all of them, or the one of its variant and seed (or what is shared). */
function nodesRead(
  plan: Plan,
  stage: string,
  reader: { variant: string | undefined; seed: number } | undefined,
): PlanNode[] {
  const nodes = plan.nodes.filter(({ job }) => job.stage === stage);
  if (!reader) return nodes;
  const seeds = new Set(nodes.map(({ job }) => job.seed));
  return nodes.filter(
    ({ job }) =>
      (job.variant === undefined || job.variant === reader.variant) && (seeds.size === 1 || job.seed === reader.seed),
  );
}

function inputOf({ job }: PlanNode): StageInput {
  const { stage: name, variant, seed } = job;
  return { name, directory: join(job.directory, 'final'), ...(variant === undefined ? {} : { variant }), seed };
}

function problemAt({ place }: Pipeline, path: Path, message: string, hint?: string): Problem {
  const line = place.line?.(path);
  return { where: place.where(path), message, ...(line === undefined ? {} : { line }), ...(hint ? { hint } : {}) };
}

/** A key that several variants share is told once. */
function distinct(problems: readonly Problem[]): Problem[] {
  const seen = new Set<string>();
  return problems.filter(({ where, line, message }) => {
    const text = [where, line, message].join('\n');
    return !seen.has(text) && seen.add(text);
  });
}
