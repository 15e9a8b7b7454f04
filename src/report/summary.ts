import { type MetricKind, metricKind, subjectLabel } from '../evaluation/metrics.ts';
import type { RecordedNode } from '../runs/pipeline-folder.ts';
import { effectSize, seedsNeeded } from '../statistics/paired-difference.ts';
import type { StageComparison } from './comparison.ts';
import { type Difference, headlineRows, type MetricRow } from './differences.ts';
import { formatDifference, formatEffect, formatInterval, formatMetric, formatP, formatSpread } from './format.ts';
import { missing, missingSeeds } from './missing.ts';
import { listed } from './words.ts';

/**
 * The result in sentences: for each stage and the two metrics that matter most, which variants the seeds show to be
 * ahead of the first one or behind it, or that they show no difference, and with one seed only what was measured; then
 * how it was tested, and what is missing.
 */
export function summarise(
  comparisons: readonly StageComparison[],
  nodes: readonly RecordedNode[],
  variants: readonly string[],
): string[] {
  const compared = comparisons.filter(({ isShared }) => !isShared);
  const findings = compared.flatMap(({ stage, run, rows, named }) => {
    const found = headlineRows(run, rows, named).map((row) => finding(row, variants));
    return found.length > 0 ? [`After ${stage}, ${found.join('; ')}.`] : [];
  });
  if (findings.length === 0) return missing(nodes);
  const most = Math.max(
    ...compared.flatMap(({ rows }) => rows.flatMap(({ cells }) => [...cells.values()].map(seedsOf))),
  );
  const gaps = [...compared.flatMap((comparison) => missingSeeds(comparison, variants)), ...missing(nodes)];
  if (most === 1) return [oneSeed(variants), ...findings, ...gaps];
  const isSpread = findings.some((text) => text.includes('±'));
  return [
    ...findings,
    ...(variants.length > 1 ? [whatIntervalsAre, ...howTested(compared)] : []),
    ...(isSpread ? [whatDeviationsAre] : []),
    ...gaps,
  ];
}

const seedsOf = ({ bySeed }: { bySeed: ReadonlyMap<number, number> }): number => bySeed.size;

function finding({ key, cells, differences }: MetricRow, variants: readonly string[]): string {
  const kind = metricKind(key);
  const name = nameOf(key);
  const present = variants.flatMap((variant) => {
    const cell = cells.get(variant);
    return cell ? [{ variant, ...cell, text: formatSpread(cell.mean, cell.deviation, kind) }] : [];
  });
  const values = (some: typeof present) => listed(some.map(({ variant, text }) => `${text} for ${variant}`));
  const failed = present.filter(({ mean }) => !Number.isFinite(mean));
  if (failed.length > 0) return `${name} is ${values(failed)} and cannot be compared`;
  const judged = [...differences].filter(([, { interval }]) => interval !== undefined);
  if (present.length > 1 && judged.length > 0) {
    return judged.map(([variant, of]) => verdict(name, kind, variants[0]!, variant, of)).join('; ');
  }
  const printed = new Set(present.map(({ mean }) => formatMetric(mean, kind)));
  return present.length > 1 && printed.size === 1
    ? `${name} is ${present[0]!.text} for ${listed(present.map(({ variant }) => variant))} alike`
    : `${name} is ${present.length > 1 ? values(present) : present[0]!.text}`;
}

function nameOf(key: string): string {
  const subject = subjectLabel(key);
  return `${metricKind(key).label}${subject ? ` (${subject})` : ''}`;
}

function verdict(name: string, kind: MetricKind, reference: string, variant: string, of: Difference): string {
  const { mean, deviation, interval, seeds, shown } = of;
  const effect = effectSize(of);
  const needed = shown ? 0 : seedsNeeded(mean, deviation!);
  const remarks = [
    `${formatDifference(mean, kind)} ${formatInterval(interval!, kind)}`,
    ...(effect === undefined ? [] : [`d_z ${formatEffect(effect)}`]),
    `${seeds} seeds`,
  ].join(', ');
  const doubts = [
    ...(Number.isFinite(needed) && needed > seeds ? [`to show one of this size takes about ${needed}`] : []),
    ...signFlipDoubt(of),
  ];
  const size = [remarks, ...doubts].join('; ');
  return shown
    ? `${variant} is ${shown === 'better' ? 'ahead of' : 'behind'} ${reference} on ${name} (${size})`
    : `no difference between ${variant} and ${reference} is shown on ${name} (${size})`;
}

/** Where the test that assumes no normal distribution comes to another result, with seeds enough to come to any. */
function signFlipDoubt({ p, signFlipP, seeds }: Difference): string[] {
  const isAble = 2 / 2 ** seeds < 0.05;
  return isAble && p! < 0.05 !== signFlipP! < 0.05
    ? [`p is ${formatP(p!)} by t, ${formatP(signFlipP!)} by flipping signs`]
    : [];
}

function oneSeed(variants: readonly string[]): string {
  return variants.length > 1
    ? 'One seed: no statement about which variant is better. Another seed may reverse any difference.'
    : 'One seed: another may give different values.';
}

const whatIntervalsAre =
  'In brackets: 95 % intervals of the mean difference over the seeds that both variants have (paired t); d_z is this mean in units of the standard deviation of the differences.';
const whatDeviationsAre =
  'Values are means over the seeds ± their standard deviation, which is not a confidence interval.';

/** How differences are tested, and who has chosen the metrics that are tested by themselves. */
function howTested(comparisons: readonly StageComparison[]): string[] {
  const stagesWhere = (isSo: (comparison: StageComparison) => boolean): string[] =>
    comparisons.filter((comparison) => comparison.primary !== undefined && isSo(comparison)).map(({ stage }) => stage);
  const named = stagesWhere(({ primary, named }) => primary === named);
  const usual = stagesWhere(({ primary, named }) => primary !== named);
  const chosen = [
    ...(named.length > 0 ? [`the pipeline names it for ${listed(named)}`] : []),
    ...(usual.length > 0 ? [`for ${listed(usual)} it is the one that mixtune takes where none is named`] : []),
  ].join('; ');
  const inVain = comparisons.flatMap(({ stage, primary, named }) =>
    named === undefined || named === primary
      ? []
      : [`${nameOf(named)}, which the pipeline names for ${stage}, cannot be compared.`],
  );
  return [
    `The first metric of a stage is its primary one, tested at 5 % by itself; all others of the stage are tested together (Holm). ${chosen[0]!.toUpperCase()}${chosen.slice(1)}.`,
    ...inVain,
  ];
}
