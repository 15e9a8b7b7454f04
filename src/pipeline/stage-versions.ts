import { basename } from 'node:path';
import type { Condition, Facts } from '../config/conditions.ts';
import { own } from '../config/own.ts';
import { suggestion } from '../config/suggest.ts';
import type { Path } from '../config/yaml-file.ts';
import { type Problem, RequestError } from '../errors.ts';
import type { Machine } from '../runs/machine.ts';
import { type DatasetSource, type Stage, serves } from '../stages/stage.ts';
import type { Contents } from './contents.ts';
import { dependencyOrder } from './graph.ts';
import { inputProblems } from './input-check.ts';
import type { Pipeline } from './pipeline-file.ts';
import { datasetsOf, idleKeys, inputValues, resolveStage, scaledKeys } from './stage-config.ts';
import { looksLikePath, userDirectory } from './user-directory.ts';

/** A stage as one variant has it, or as all have it that do not touch it. */
export interface StageVersion {
  name: string;
  variant: string | undefined;
  stage: Stage;
  machine: Machine;
  written: Readonly<Record<string, unknown>>;
  /** Keys whose values `--scale` has made. */
  scaled: readonly string[];
  /** With defaults. */
  config: Readonly<Record<string, unknown>>;
  /** Path of each written key in the file. */
  paths: Readonly<Record<string, Path>>;
  datasets: readonly DatasetSource[];
  /** By input key. */
  references: Readonly<Record<string, readonly Reference[]>>;
}

/** What an input key names: a stage of the pipeline, or a directory of the user's. */
export type Reference = { name: string; stage: string } | { name: string; directory: string };

export interface StageOptions {
  stages: readonly Stage[];
  baseDirectory: string;
  contents: Contents;
}

/** Checks every stage for every variant, what they read and their data, and puts the stages in order. */
export async function readStages(
  pipeline: Pipeline,
  options: StageOptions,
): Promise<{ versions: StageVersion[]; order: string[] }> {
  const problems = unknownNames(pipeline, options.stages);
  const versions: StageVersion[] = [];
  const vain: Vain[] = [];
  for (const [name, { run }] of Object.entries(pipeline.stages)) {
    const stage = options.stages.find((candidate) => candidate.name === run);
    if (!stage) continue;
    for (const variant of variantsOf(pipeline, name)) {
      const read = readVersion(pipeline, name, variant, stage, options);
      versions.push(read.version);
      const found = [...read.problems, ...(await dataProblems(pipeline, read.version, options.contents))];
      const facts = { heldOut: found.length > 0 || (await hasHeldOut(read.version, options.contents)) };
      vain.push(...vainKeys(read.version, facts));
      if (found.length === 0) found.push(...(await checkProblems(pipeline, read.version, options)));
      problems.push(...found, ...(await directoryProblems(pipeline, read.version)));
    }
  }
  problems.push(...vainProblems(pipeline, vain, versions));
  const sorted = dependencyOrder(dependenciesOf(pipeline, versions));
  if (sorted.cycle) {
    const message = `the stages depend on each other in a cycle: ${sorted.cycle.join(' → ')}`;
    problems.push(problemAt(pipeline, ['stages', sorted.cycle[0]!], message));
  }
  if (problems.length > 0 || sorted.cycle) throw new RequestError(distinct(problems), pipeline.file);
  return { versions, order: sorted.order };
}

function unknownNames(pipeline: Pipeline, stages: readonly Stage[]): Problem[] {
  const known = stages.map(({ name }) => name);
  const names = Object.keys(pipeline.stages);
  const runs = Object.entries(pipeline.stages)
    .filter(([, { run }]) => !known.includes(run))
    .map(([name, { run }]) =>
      problemAt(pipeline, ['stages', name, 'run'], `there is no stage \`${run}\``, suggestion(run, known)),
    );
  const touched = Object.entries(pipeline.variants).flatMap(([variant, keys]) =>
    Object.keys(keys)
      .filter((name) => !names.includes(name))
      .map((name) =>
        problemAt(pipeline, ['variants', variant, name], 'the pipeline has no such stage', suggestion(name, names)),
      ),
  );
  return [...runs, ...touched];
}

/** A key that a version of a stage was given and that has no effect there. */
interface Vain {
  version: StageVersion;
  key: string;
  condition: Condition;
}

function vainKeys(version: StageVersion, facts: Facts): Vain[] {
  const { stage, written, config } = version;
  if (Object.keys(config).length === 0) return [];
  return [...idleKeys(stage, written, config, facts)].map(([key, condition]) => ({ version, key, condition }));
}

/** Whether rows of the stage's data are held out; not looked for where no key asks for them. */
async function hasHeldOut({ stage, written, config, datasets }: StageVersion, contents: Contents): Promise<boolean> {
  const data = datasets.find(({ key }) => key === 'data');
  const counts = (heldOut: boolean): number => idleKeys(stage, written, config, { heldOut }).size;
  if (!data || counts(true) === counts(false)) return true;
  return contents.hasHeldOut(data.source, data.use, Number(config.holdOut ?? 0));
}

/**
 * A key of a stage is in vain where no variant that has it from there makes use of it. It is not refused where
 * something that was written over the stage makes it idle: a variant, or `--set`.
 */
function vainProblems(pipeline: Pipeline, vain: readonly Vain[], versions: readonly StageVersion[]): Problem[] {
  const pathIn = ({ paths }: StageVersion, key: string) => paths[key]?.join('.');
  return vain.flatMap(({ version, key, condition }): Problem[] => {
    const path = version.paths[key]!;
    const sharing = versions.filter((other) => pathIn(other, key) === path.join('.'));
    const isIdle = (other: StageVersion) => vain.some((found) => found.version === other && found.key === key);
    const layer = layerOf(pipeline, path);
    const isOverridden = condition.keys.some((other) => layerOf(pipeline, version.paths[other]) > layer);
    if (isOverridden || !sharing.every(isIdle)) return [];
    const message = `has no effect ${condition.otherwise(version.config)}`;
    return [problemAt(pipeline, path, message, `leave it out, or ${condition.remedy}`)];
  });
}

/** What is written later counts more: the stage, then the variant, then `--set`. */
function layerOf({ place }: Pipeline, path: Path | undefined): number {
  if (path === undefined) return 0;
  if (place.origin(path) === '--set') return 3;
  return path[0] === 'variants' ? 2 : 1;
}

/** The variants that touch a stage, and `undefined` for those that do not, if there are such. */
function variantsOf(pipeline: Pipeline, stage: string): (string | undefined)[] {
  const all = Object.keys(pipeline.variants);
  const touching = all.filter((variant) => own(pipeline.variants[variant], stage) !== undefined);
  return touching.length > 0 && touching.length === all.length ? touching : [undefined, ...touching];
}

function readVersion(
  pipeline: Pipeline,
  name: string,
  variant: string | undefined,
  stage: Stage,
  options: StageOptions,
): { version: StageVersion; problems: Problem[] } {
  const { run: _, seed: _seed, ...base } = pipeline.stages[name]!;
  const overrides = (variant === undefined ? undefined : own(pipeline.variants[variant], name)) ?? {};
  const unscaled = { ...base, ...overrides };
  const scaled = pipeline.scale === undefined ? {} : scaledKeys(stage, unscaled, pipeline.scale);
  const written = { ...unscaled, ...scaled };
  const pathOf = (path: Path): Path =>
    variant !== undefined && Object.hasOwn(overrides, String(path[0]))
      ? ['variants', variant, name, ...path]
      : ['stages', name, ...path];
  const { machine, config, problems } = resolveStage(stage, written, {
    where: (path) => pipeline.place.where(pathOf(path)),
    line: (path) => pipeline.place.line?.(pathOf(path)),
  });
  const paths = Object.fromEntries(Object.keys(written).map((key) => [key, pathOf([key])]));
  const all = [...problems];
  const datasets = datasetsOf(stage, { ...written, ...config });
  if (problems.length === 0) datasets.push(...furtherSources(pipeline, stage, config, pathOf, all));
  const version = { name, variant, stage, machine, written, scaled: Object.keys(scaled), config, paths, datasets };
  const { references, problems: unresolved } = readReferences(version, pipeline, options);
  return { version: { ...version, references }, problems: [...all, ...unresolved] };
}

/** Datasets inside other keys; what is wrong with those keys is added to `problems`. */
function furtherSources(
  pipeline: Pipeline,
  stage: Stage,
  config: StageVersion['config'],
  pathOf: (path: Path) => Path,
  problems: Problem[],
): readonly DatasetSource[] {
  try {
    return stage.sources?.(config) ?? [];
  } catch (error) {
    if (!(error instanceof RequestError)) throw error;
    for (const { where = '', message, hint } of error.problems) {
      problems.push(problemAt(pipeline, pathOf([where]), message, hint));
    }
    return [];
  }
}

function readReferences(
  { name, stage, written, config, paths }: Omit<StageVersion, 'references'>,
  pipeline: Pipeline,
  { stages, baseDirectory }: StageOptions,
): { references: Record<string, Reference[]>; problems: Problem[] } {
  const names = Object.keys(pipeline.stages);
  const problems: Problem[] = [];
  const references: Record<string, Reference[]> = {};
  const known = Object.keys(config).length > 0 ? config : written;
  for (const [key, values] of Object.entries(inputValues(stage, known))) {
    const path = own(paths, key) ?? ['stages', name, key];
    const { kind } = stage.inputs[key]!;
    references[key] = values.flatMap((value): Reference[] => {
      if (names.includes(value)) {
        const made = stages.find((candidate) => candidate.name === pipeline.stages[value]?.run)?.result;
        if (made && !serves(made, kind)) {
          problems.push(problemAt(pipeline, path, `stage \`${value}\` makes no ${kind}`));
        }
        return [{ name: value, stage: value }];
      }
      if (!looksLikePath(value, baseDirectory)) {
        problems.push(problemAt(pipeline, path, `there is no stage \`${value}\``, suggestion(value, names)));
        return [];
      }
      const found = userDirectory(value, kind, baseDirectory);
      if (!found.problem) return [{ name: value, directory: found.directory }];
      problems.push(problemAt(pipeline, path, found.problem.message, found.problem.hint));
      return [];
    });
  }
  return { references, problems };
}

async function directoryProblems(
  pipeline: Pipeline,
  { name, stage, paths, references }: StageVersion,
): Promise<Problem[]> {
  const problems: Problem[] = [];
  const writesConversations = Object.values(stage.datasets).some(({ use }) => use !== 'text');
  for (const [key, named] of Object.entries(references)) {
    for (const reference of named) {
      if (!('directory' in reference)) continue;
      const path = own(paths, key) ?? ['stages', name, key];
      const found = await inputProblems(reference.directory, { kind: stage.inputs[key]!.kind, writesConversations });
      problems.push(...found.map(({ message, hint }) => problemAt(pipeline, path, message, hint)));
    }
  }
  return problems;
}

/** What the stage itself finds wrong, once its keys and its data can be read. */
async function checkProblems(
  pipeline: Pipeline,
  { name, stage, config, paths }: StageVersion,
  { baseDirectory }: StageOptions,
): Promise<Problem[]> {
  const variants = Object.keys(pipeline.variants);
  const found = (await stage.check?.(config, { baseDirectory, variants })) ?? [];
  return found.map(({ where = '', message, hint }) =>
    problemAt(pipeline, own(paths, where) ?? ['stages', name, where], message, hint),
  );
}

async function dataProblems(
  pipeline: Pipeline,
  { name, datasets, paths }: StageVersion,
  contents: Contents,
): Promise<Problem[]> {
  const problems: Problem[] = [];
  for (const { key, source, use } of datasets) {
    const found = await contents.check(source, use);
    if (!(found instanceof RequestError)) continue;
    for (const problem of found.problems) {
      const path = own(paths, key) ?? ['stages', name, key];
      problems.push(problemAt(pipeline, path, inFile(problem, found.subject), problem.hint));
    }
  }
  return problems;
}

/** A problem of a data file on one line, so that it can stand after the pipeline's own place. */
function inFile({ message, where, line }: Problem, subject: string | undefined): string {
  const file = subject && basename(subject);
  const within = file && where?.startsWith(file) ? where.slice(file.length).replace(/^, /, '') || undefined : where;
  const place = [subject, within === subject ? undefined : within, line === undefined ? undefined : `line ${line}`];
  const known = place.filter((part) => part !== undefined).join(', ');
  return known ? `${known}: ${message}` : message;
}

function dependenciesOf(pipeline: Pipeline, versions: readonly StageVersion[]): Record<string, string[]> {
  const dependencies: Record<string, string[]> = Object.fromEntries(
    Object.keys(pipeline.stages).map((name) => [name, []]),
  );
  for (const { name, references } of versions) {
    for (const reference of Object.values(references).flat()) {
      if ('stage' in reference) own(dependencies, name)?.push(reference.stage);
    }
  }
  return dependencies;
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
