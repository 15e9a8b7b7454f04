import { z } from 'zod';
import { own } from '../config/own.ts';
import { suggestion } from '../config/suggest.ts';
import { type Place, validate } from '../config/validate.ts';
import type { Path } from '../config/yaml-file.ts';
import type { Problem } from '../errors.ts';
import { metricKind } from '../evaluation/metrics.ts';
import type { Rule } from '../evaluation/sweep-choice.ts';
import { type Values, valueSchema } from '../runs/plan-file.ts';
import type { Stage } from '../stages/stage.ts';

/** The most runs that a sweep of one variant may have; more are certainly a mistake. */
const mostRuns = 1000;

export const sweepSchema = z
  .strictObject({
    values: z
      .record(z.string(), z.array(valueSchema))
      .describe('by key, the values to try; with several keys, every combination is tried'),
    budget: z
      .record(z.string(), z.unknown())
      .default({})
      .describe('keys of the stage that differ while values are tried, such as a smaller number of `steps`'),
    seeds: z
      .array(z.int().min(0))
      .min(1)
      .optional()
      .describe(
        "seeds of the trials; by default the pipeline's first. If the stage reads models, each trial reads those of its seed or, if there are none, those of the pipeline's seeds in turn",
      ),
    metric: z.string().describe('held-out metric of the stage whose mean over the seeds decides'),
    better: z
      .enum(['higher', 'lower'])
      .optional()
      .describe("which direction of the metric is good, if not the metric's own"),
    edge: z
      .enum(['error', 'accept'])
      .default('error')
      .describe(
        'whether the smallest or largest value of a key may be chosen, although a better one may lie beyond it',
      ),
  })
  .superRefine(({ values, budget, seeds, edge }, { addIssue }) => {
    const problem = (path: string[], message: string, hint?: string) =>
      addIssue({ code: 'custom', path, message, ...(hint ? { params: { hint } } : {}) });
    const keys = Object.entries(values);
    if (keys.length === 0)
      problem(['values'], 'there is no key to try values of', 'such as values: { lr: [1e-3, 2e-3, 4e-3] }');
    for (const [key, tried] of keys) {
      const isOrdered = tried.every((value) => typeof value === 'number');
      if (tried.length < 2) {
        problem(
          ['values', key],
          `${tried.length === 0 ? 'no value' : 'a single value'} leaves nothing to choose from`,
          'give two values or more',
        );
      } else if (new Set(tried).size < tried.length) problem(['values', key], 'a value appears twice');
      else if (isOrdered && tried.length === 2 && edge === 'error') {
        problem(
          ['values', key],
          'whichever of two values is chosen is at the edge',
          'give three or more, or set `edge: accept`',
        );
      }
      if (Object.hasOwn(budget, key)) problem(['budget', key], 'its values are chosen by the sweep', 'leave it out');
    }
    const runs = keys.reduce((product, [, { length }]) => product * length, seeds?.length ?? 1);
    if (runs > mostRuns)
      problem(
        ['values'],
        `${runs.toLocaleString('en')} runs, and at most ${mostRuns.toLocaleString('en')} can be planned`,
      );
  });

/** Values of keys to try in shorter runs of a stage; the stage itself then runs with the best ones. */
export type Sweep = z.infer<typeof sweepSchema> & { seeds: readonly number[] };

/** The keys written for a stage, and the location in the file of each path below them. */
export interface Written {
  keys: Readonly<Record<string, unknown>>;
  pathOf(path: Path): Path;
}

/** A combination of values, for a trial or for the stage itself once it is chosen. */
export interface SweepPoint {
  sweep: Sweep;
  values: Values;
  isTrial: boolean;
}

/** Reads a stage's `sweep` and its problems; without a `sweep` there is neither. */
export function readSweep(
  stage: Stage,
  { keys, pathOf }: Written,
  firstSeed: number,
  place: Place,
): { sweep?: Sweep; problems: readonly Problem[] } {
  if (keys.sweep === undefined || keys.sweep === null) return { problems: [] };
  const within = (path: Path) => pathOf(['sweep', ...path]);
  const { value, problems } = validate(sweepSchema, keys.sweep, {
    where: (path) => place.where(within(path)),
    line: (path) => place.line?.(within(path)),
  });
  if (!value) return { problems };
  const found: Problem[] = [];
  const problem = (path: Path, message: string, hint: string) => {
    const line = place.line?.(path);
    found.push({ where: place.where(path), message, hint, ...(line === undefined ? {} : { line }) });
  };
  for (const key of Object.keys(value.values)) {
    if (own(keys, key) === undefined) continue;
    problem(
      pathOf([key]),
      'is chosen by the sweep of this stage',
      'leave it out, or turn the sweep off with `sweep: null`',
    );
  }
  if (stage.heldOut === undefined) {
    problem(within([]), `\`${stage.name}\` measures nothing on held-out rows that could decide`, 'leave it out');
  }
  return found.length > 0
    ? { problems: found }
    : { sweep: { ...value, seeds: value.seeds ?? [firstSeed] }, problems: [] };
}

/** How trials of a sweep are compared. The metric has a direction, which is checked when the sweep is read. */
export function ruleOf({ metric, better = metricKind(metric).better!, edge }: Sweep): Rule {
  return { metric, better, edge };
}

/** The problems if a sweep cannot decide by its metric, given the stage's keys; `where` is a key of the sweep. */
export function metricProblems(stage: Stage, { metric, better }: Sweep, config: Written['keys']): Problem[] {
  const measured = stage.heldOut?.(config) ?? [];
  if (!measured.some((name) => name === metric)) {
    const message = `\`${stage.name}\` measures no \`${metric}\` on held-out rows`;
    return [{ where: 'metric', message, hint: suggestion(metric, measured) }];
  }
  if (better ?? metricKind(metric).better) return [];
  const hint = 'give one: `better: higher` or `better: lower`';
  return [{ where: 'metric', message: `\`${metric}\` has no better direction`, hint }];
}

/** For each combination of values, the stage as it would run with them, and a trial of them. */
export function sweepPoints(written: Written, sweep: Sweep): (Written & { point: SweepPoint })[] {
  const { sweep: _, ...base } = written.keys;
  const within = (path: Path) => written.pathOf(['sweep', ...path]);
  return combinations(sweep.values).flatMap((values) =>
    [false, true].map((isTrial) => ({
      keys: { ...base, ...(isTrial ? sweep.budget : {}), ...values },
      pathOf: (path: Path): Path => {
        const [key = ''] = path;
        if (Object.hasOwn(values, key)) return within(['values', key]);
        return isTrial && Object.hasOwn(sweep.budget, key) ? within(['budget', ...path]) : written.pathOf(path);
      },
      point: { sweep, values, isTrial },
    })),
  );
}

function combinations(values: Sweep['values']): Values[] {
  return Object.entries(values).reduce<Values[]>(
    (before, [key, tried]) => before.flatMap((those) => tried.map((value) => ({ ...those, [key]: value }))),
    [{}],
  );
}

/** The name of the folder for these values, such as `lr-0.001`. */
export const folderOf = (values: Values): string =>
  Object.entries(values)
    .map(([key, value]) => `${key}-${encodeURIComponent(value)}`)
    .join('_');
