import type { Cell, MetricRow, StageComparison } from './comparison.ts';
import { formatMetric, metricKind, metricName, metricSubject } from './metric.ts';
import type { ReportNode } from './pipeline-folder.ts';

/** What a reader wants to know first. */
const headlines = ['exactMatch', 'accuracy', 'accuracyNormalized', 'perplexity', 'loss'];

/**
 * The result in sentences: for each stage, who is ahead on the two metrics that matter most and by how much;
 * then how far the seeds allow to believe it; then what is missing.
 */
export function summarise(
  comparisons: readonly StageComparison[],
  nodes: readonly ReportNode[],
  variants: readonly string[],
): string[] {
  const findings = comparisons.flatMap(({ stage, rows }) => {
    const clauses = headlineRows(rows).map((row) => clause(row, variants));
    return clauses.length > 0 ? [`After ${stage}: ${clauses.join('; ')}.`] : [];
  });
  return [...findings, ...(findings.length > 0 ? [confidence(comparisons, variants)] : []), ...missing(nodes)];
}

function headlineRows(rows: readonly MetricRow[]): MetricRow[] {
  const ranked = headlines.flatMap((name) =>
    rows.filter(({ key, cells }) => metricName(key) === name && cells.size > 0),
  );
  return ranked.slice(0, 2);
}

function clause({ key, cells }: MetricRow, variants: readonly string[]): string {
  const kind = metricKind(key);
  const subject = metricSubject(key);
  const name = `${kind.label}${subject ? ` (${subject})` : ''}`;
  const sign = kind.better === 'lower' ? 1 : -1;
  const present = variants.flatMap((variant): [string, Cell][] =>
    cells.has(variant) ? [[variant, cells.get(variant)!]] : [],
  );
  const text = ([, cell]: [string, Cell]) => withDeviation(cell, key);
  const failed = present.find(([, { mean }]) => !Number.isFinite(mean));
  if (failed) return `${name} of ${failed[0]} is ${formatMetric(failed[1].mean, kind)}, so it cannot be compared`;
  const [best, ...rest] = [...present].sort((a, b) => sign * (a[1].mean - b[1].mean)) as [
    [string, Cell],
    ...[string, Cell][],
  ];
  if (rest.length === 0) return `${name} is ${text(best)} for ${best[0]}`;
  if (present.every((entry) => formatMetric(entry[1].mean, kind) === formatMetric(best[1].mean, kind))) {
    return `${name} is ${text(best)} for ${listed(present.map(([variant]) => variant))} alike`;
  }
  return `${best[0]} is ahead on ${name}, ${text(best)} against ${listed(rest.map((entry) => `${text(entry)} for ${entry[0]}`))}`;
}

function withDeviation({ mean, deviation }: Cell, key: string): string {
  const kind = metricKind(key);
  return `${formatMetric(mean, kind)}${deviation === undefined ? '' : ` ± ${formatMetric(deviation, kind)}`}`;
}

function confidence(comparisons: readonly StageComparison[], variants: readonly string[]): string {
  const counts = comparisons.flatMap(({ rows }) =>
    rows.flatMap(({ cells }) => [...cells.values()].map(({ bySeed }) => bySeed.size)),
  );
  const fewest = counts.reduce((a, b) => Math.min(a, b));
  const most = counts.reduce((a, b) => Math.max(a, b));
  if (most === 1) {
    return variants.length > 1
      ? 'There is one seed for each variant, so there is no confidence interval: a small difference may be chance, and another seed may turn it round.'
      : 'There is one seed, so there is no confidence interval.';
  }
  const seeds = fewest === most ? `${most} seeds` : `${fewest} to ${most} seeds`;
  return `Values are means over ${seeds} ± the standard deviation between the seeds.`;
}

function missing(nodes: readonly ReportNode[]): string[] {
  const stopped = nodes.filter(({ status, run }) => status === 'stopped' && run !== 'compare');
  const absent = nodes.filter(({ status, run }) => status === 'not run' && run !== 'compare');
  return [
    ...(stopped.length > 0 ? [`Not finished: ${listed(stopped.map(({ id }) => id))}.`] : []),
    ...(absent.length > 0 ? [`Not run: ${listed(absent.map(({ id }) => id))}.`] : []),
  ];
}

function listed(items: readonly string[]): string {
  return items.length < 2 ? items.join('') : `${items.slice(0, -1).join(', ')} and ${items.at(-1)}`;
}
