import type { Values } from '../runs/plan-file.ts';

/** What one run of a sweep came to. */
export interface Trial {
  values: Values;
  seed: number;
  /** The metric on held-out rows before the first step, where it was measured. */
  start?: number | undefined;
  /** The metric of the result, not a number where training diverged; absent while the run has not ended. */
  end?: number | undefined;
  /** It ended, but on a plateau, or after a jump of its loss from which it did not come back. */
  isUnstable?: boolean | undefined;
}

/** How a sweep decides between values. */
export interface Rule {
  metric: string;
  better: 'higher' | 'lower';
  edge: 'error' | 'accept';
}

/** Values with what their runs came to. */
export interface Tried {
  values: Values;
  /** Over the seeds. Not a number if any of their runs failed. */
  mean: number;
  trials: readonly Trial[];
  /** Runs that diverged, stayed on a plateau, or ended no better than they began. */
  failed: number;
}

export type Decision =
  | { status: 'open' }
  | { status: 'chosen'; values: Values; mean: number }
  | { status: 'failed'; message: string; hint: string };

/** The runs of a sweep by their values, in the order in which these first occur. */
export function triedValues(trials: readonly Trial[], { better }: Pick<Rule, 'better'>): Tried[] {
  const groups = new Map<string, Trial[]>();
  for (const trial of trials) {
    const name = JSON.stringify(trial.values);
    groups.set(name, [...(groups.get(name) ?? []), trial]);
  }
  return [...groups.values()].map((own) => {
    const failed = own.filter((trial) => trial.end !== undefined && !isUsable(trial, better)).length;
    const mean = own.reduce((sum, { end = Number.NaN }) => sum + end, 0) / own.length;
    return { values: own[0]!.values, mean: failed > 0 ? Number.NaN : mean, trials: own, failed };
  });
}

function isUsable({ start, end, isUnstable = false }: Trial, better: Rule['better']): boolean {
  if (isUnstable || end === undefined || !Number.isFinite(end)) return false;
  return start === undefined || !Number.isFinite(start) || (better === 'lower' ? end < start : end > start);
}

/**
 * The values whose mean over the seeds is best, of those of which no run failed. A number at the end of what was tried
 * is no choice unless the rule accepts it: a better one may lie beyond.
 */
export function decide(trials: readonly Trial[], rule: Rule): Decision {
  if (trials.some(({ end }) => end === undefined)) return { status: 'open' };
  const tried = triedValues(trials, rule);
  const [best] = tried
    .filter(({ mean }) => Number.isFinite(mean))
    .sort((a, b) => (rule.better === 'lower' ? a.mean - b.mean : b.mean - a.mean));
  if (!best) {
    const message = `none of the values that were tried is usable: with each of them training diverged, stayed on a plateau, or ended with a ${rule.metric} no better than before its first step`;
    return { status: 'failed', message, hint: 'try other values, or a larger budget' };
  }
  const edge = rule.edge === 'accept' ? undefined : edgeOf(best.values, tried);
  if (edge) {
    const message = `the best ${edge.key} is ${edge.value}, the ${edge.end} that was tried (${rule.metric} ${best.mean.toPrecision(4)})`;
    const hint = `extend the values of ${edge.key} ${edge.end === 'largest' ? 'upwards' : 'downwards'}, or set edge: accept`;
    return { status: 'failed', message, hint };
  }
  return { status: 'chosen', values: best.values, mean: best.mean };
}

/** A key whose chosen number is the smallest or the largest that was tried. */
function edgeOf(
  chosen: Values,
  tried: readonly Tried[],
): { key: string; value: number; end: 'smallest' | 'largest' } | undefined {
  for (const [key, value] of Object.entries(chosen)) {
    const numbers = tried.map(({ values }) => values[key]);
    if (typeof value !== 'number' || !numbers.every((number) => typeof number === 'number')) continue;
    if (value === Math.min(...numbers)) return { key, value, end: 'smallest' };
    if (value === Math.max(...numbers)) return { key, value, end: 'largest' };
  }
  return undefined;
}

/** `lr 0.002, batchSize 16` */
export const inWords = (values: Values): string =>
  Object.entries(values)
    .map(([key, value]) => `${key} ${value}`)
    .join(', ');
