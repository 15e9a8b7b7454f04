import { basename } from 'node:path';
import { own } from '../config/own.ts';
import { suggestion } from '../config/suggest.ts';
import type { Path } from '../config/yaml-file.ts';
import { type Problem, RequestError } from '../errors.ts';
import type { Machine } from '../runs/machine.ts';
import { type DatasetSource, type Stage, saidPlacement, serves } from '../stages/stage.ts';
import type { Contents } from './contents.ts';
import { dependencyOrder } from './graph.ts';
import { inputProblems } from './input-check.ts';
import { type Pipeline, problemAt } from './pipeline-file.ts';
import { datasetsOf, inputValues, resolveStage, type StageKeys, scaledKeys } from './stage-config.ts';
import { metricProblems, readSweep, type SweepPoint, sweepPoints, type Written } from './sweep.ts';
import { looksLikePath, userDirectory } from './user-directory.ts';
import { hasHeldOut, type Vain, vainKeys, vainProblems } from './vain-keys.ts';

/**
 * A stage as one variant sets it, or as it is for all variants that do not change it. A stage with a sweep has two
 * versions for each combination of values: one with the stage's own keys, and one for trials.
 */
export interface StageVersion extends StageKeys {
  name: string;
  variant: string | undefined;
  machine: Machine;
  /** Keys whose values `--scale` has changed. */
  scaled: readonly string[];
  /** What each input key names. */
  references: Readonly<Record<string, readonly Reference[]>>;
  /** The combination of values, if the stage has a sweep. */
  point?: SweepPoint;
}

/** What an input key names: a stage of the pipeline, or a directory of the user. */
export type Reference = { name: string; stage: string } | { name: string; directory: string };

export interface StageOptions {
  stages: readonly Stage[];
  baseDirectory: string;
  contents: Contents;
}

/** Checks every stage for every variant, their inputs and their data, and sorts the stages by dependency. */
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
      const drafts = draftsOf(pipeline, name, variant, stage);
      problems.push(...drafts.problems);
      for (const draft of drafts.drafts) {
        const read = readVersion(pipeline, name, variant, stage, draft, options);
        versions.push(read.version);
        const found = [...read.problems, ...(await dataProblems(pipeline, read.version, options.contents))];
        const facts = { heldOut: found.length > 0 || (await hasHeldOut(read.version, options.contents)) };
        vain.push(...vainKeys(read.version, facts));
        if (found.length === 0) found.push(...(await checkProblems(pipeline, read.version, options)));
        if (found.length === 0)
          found.push(...(await decisionProblems(pipeline, read.version, draft, options.contents)));
        problems.push(...found, ...(await directoryProblems(pipeline, read.version)));
      }
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

/** The variants that change a stage, preceded by `undefined` for the others, if there are any. */
function variantsOf(pipeline: Pipeline, stage: string): (string | undefined)[] {
  const all = Object.keys(pipeline.variants);
  const touching = all.filter((variant) => own(pipeline.variants[variant], stage) !== undefined);
  return touching.length > 0 && touching.length === all.length ? touching : [undefined, ...touching];
}

type Draft = Written & { point?: SweepPoint };

/** What was written for a stage and a variant: one draft, or one for each version that its sweep requires. */
function draftsOf(
  pipeline: Pipeline,
  name: string,
  variant: string | undefined,
  stage: Stage,
): { drafts: Draft[]; problems: readonly Problem[] } {
  const { run: _, seed: ownSeed, ...base } = pipeline.stages[name]!;
  const overrides = (variant === undefined ? undefined : own(pipeline.variants[variant], name)) ?? {};
  const pathOf = (path: Path): Path =>
    variant !== undefined && Object.hasOwn(overrides, String(path[0]))
      ? ['variants', variant, name, ...path]
      : ['stages', name, ...path];
  const written = { keys: { ...base, ...overrides }, pathOf };
  const { sweep, problems } = readSweep(stage, written, ownSeed ?? pipeline.seeds[0]!, pipeline.place);
  if (sweep) return { drafts: sweepPoints(written, sweep), problems };
  const { sweep: _off, ...keys } = written.keys as Record<string, unknown>;
  return { drafts: [{ keys, pathOf }], problems };
}

/** The problems if the metric that decides a sweep cannot be measured. */
async function decisionProblems(
  pipeline: Pipeline,
  { stage, config, datasets }: StageVersion,
  { point, pathOf }: Draft,
  contents: Contents,
): Promise<Problem[]> {
  if (!point?.isTrial) return [];
  const found = metricProblems(stage, point.sweep, config);
  const data = datasets.find(({ key }) => key === 'data');
  if (data && !(await contents.hasHeldOut(data.source, data.use, Number(config.holdOut ?? 0)))) {
    found.push({ where: 'metric', message: 'no rows of `data` are held out', hint: 'hold some out with `holdOut`' });
  }
  return found.map(({ where = '', message, hint }) => problemAt(pipeline, pathOf(['sweep', where]), message, hint));
}

function readVersion(
  pipeline: Pipeline,
  name: string,
  variant: string | undefined,
  stage: Stage,
  { keys: unscaled, pathOf, point }: Draft,
  options: StageOptions,
): { version: StageVersion; problems: Problem[] } {
  const scaled = pipeline.scale === undefined ? {} : scaledKeys(stage, unscaled, pipeline.scale);
  const written = { ...unscaled, ...scaled };
  const { machine, config, problems } = resolveStage(stage, written, {
    where: (path) => pipeline.place.where(pathOf(path)),
    line: (path) => pipeline.place.line?.(pathOf(path)),
  });
  const paths = Object.fromEntries(Object.keys(written).map((key) => [key, pathOf([key])]));
  const all = [...problems];
  const datasets = datasetsOf(stage, { ...written, ...config });
  if (problems.length === 0) datasets.push(...furtherSources(pipeline, stage, config, pathOf, all));
  const keys = { machine, written, scaled: Object.keys(scaled), config, paths };
  const version = { name, variant, stage, ...keys, datasets, ...(point ? { point } : {}) };
  const { references, problems: unresolved } = readReferences(version, pipeline, options);
  return { version: { ...version, references }, problems: [...all, ...unresolved] };
}

/** Datasets named inside other keys; problems with those keys are added to `problems`. */
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
  { name, stage, config, paths, references }: StageVersion,
): Promise<Problem[]> {
  const problems: Problem[] = [];
  const writesConversations = Object.values(stage.datasets).some(({ use }) => use !== 'text');
  // What is only measured may go by a guess; what is trained or written down may not.
  const certain = stage.result !== 'measurements';
  for (const [key, named] of Object.entries(references)) {
    for (const reference of named) {
      if (!('directory' in reference)) continue;
      const path = own(paths, key) ?? ['stages', name, key];
      const input = stage.inputs[key]!;
      const placement = { norm: saidPlacement(input, config), certain };
      const found = await inputProblems(reference.directory, { kind: input.kind, writesConversations, ...placement });
      problems.push(...found.map(({ message, hint }) => problemAt(pipeline, path, message, hint)));
    }
  }
  return problems;
}

/** The problems found by the stage's own check, which runs once its keys and data can be read. */
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

/** A problem in a data file as one line, which can follow the location in the pipeline's file. */
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

/** Drops duplicates, so that a problem with a key that several variants share is reported once. */
function distinct(problems: readonly Problem[]): Problem[] {
  const seen = new Set<string>();
  return problems.filter(({ where, line, message }) => {
    const text = [where, line, message].join('\n');
    return !seen.has(text) && seen.add(text);
  });
}
