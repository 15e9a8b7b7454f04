import { type MetricKind, metricKind, subjectLabel } from '../evaluation/metrics.ts';
import type { RecordedNode } from '../runs/pipeline-folder.ts';
import { seedsNeeded } from '../statistics/paired-difference.ts';
import type { StageComparison } from './comparison.ts';
import { type Difference, headlineRows, type MetricRow } from './differences.ts';
import { formatDifference, formatInterval, formatMetric, formatSpread } from './format.ts';

/**
 * The result in sentences: for each stage and the two metrics that matter most, which variants the seeds show to be
 * ahead of the first one or behind it, or that they show no difference, and with one seed only what was measured; then
 * what is missing.
 */
export function summarise(
  comparisons: readonly StageComparison[],
  nodes: readonly RecordedNode[],
  variants: readonly string[],
): string[] {
  const findings = comparisons.flatMap(({ stage, run, rows }) => {
    const found = headlineRows(run, rows).map((row) => finding(row, variants));
    return found.length > 0 ? [`After ${stage}, ${found.join('; ')}.`] : [];
  });
  if (findings.length === 0) return missing(nodes);
  const seeds = comparisons.flatMap(({ rows }) => rows.flatMap(({ cells }) => [...cells.values()])).map(seedsOf);
  const most = seeds.reduce((a, b) => Math.max(a, b));
  if (most === 1) return [oneSeed(variants), ...findings, ...missing(nodes)];
  return [...findings, ...(variants.length > 1 ? [whatIntervalsAre] : [whatDeviationsAre]), ...missing(nodes)];
}

const seedsOf = ({ bySeed }: { bySeed: ReadonlyMap<number, number> }): number => bySeed.size;

function finding({ key, cells, differences }: MetricRow, variants: readonly string[]): string {
  const kind = metricKind(key);
  const subject = subjectLabel(key);
  const name = `${kind.label}${subject ? ` (${subject})` : ''}`;
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

function verdict(name: string, kind: MetricKind, reference: string, variant: string, of: Difference): string {
  const { mean, deviation, interval, seeds, shown } = of;
  const size = `${formatDifference(mean, kind)} ${formatInterval(interval!, kind)}, ${seeds} seeds`;
  if (shown) return `${variant} is ${shown === 'better' ? 'ahead of' : 'behind'} ${reference} on ${name} (${size})`;
  const needed = seedsNeeded(mean, deviation!);
  const effort = Number.isFinite(needed) && needed > seeds ? `; to show one of this size takes about ${needed}` : '';
  return `no difference between ${variant} and ${reference} is shown on ${name} (${size}${effort})`;
}

function oneSeed(variants: readonly string[]): string {
  return variants.length > 1
    ? 'One seed: no statement about which variant is better. Another seed may reverse any difference.'
    : 'One seed: another may give different values.';
}

const whatIntervalsAre =
  'In brackets: 95 % intervals of the mean difference over the seeds that both variants have (paired t). The first metric of a stage is tested at 5 % by itself, all others of the stage together (Holm).';
const whatDeviationsAre =
  'Values are means over the seeds ± their standard deviation, which is not a confidence interval.';

function missing(nodes: readonly RecordedNode[]): string[] {
  return (['failed', 'broken off', 'stopped', 'running', 'not run'] as const).flatMap((status) => {
    const ids = nodes.filter((node) => node.status === status).map(({ id }) => id);
    return ids.length > 0 ? [`${status[0]!.toUpperCase()}${status.slice(1)}: ${listed(ids)}.`] : [];
  });
}

function listed(items: readonly string[]): string {
  return items.length < 2 ? items.join('') : `${items.slice(0, -1).join(', ')} and ${items.at(-1)}`;
}
