import { metricKind, metricName, subjectLabel } from '../evaluation/metrics.ts';
import type { StageComparison } from './comparison.ts';
import type { Curve, Point } from './curve.ts';
import { type Fragment, html } from './html.ts';
import { lineChart } from './line-chart.ts';

const followed = new Set(['perplexity', 'exactMatch', 'accuracy', 'preferenceAccuracy']);

/** What each stage did to the metrics that are measured after more than one of them. */
export function progressCharts(comparisons: readonly StageComparison[], variants: readonly string[]): Fragment {
  const keys = [...new Set(comparisons.flatMap(({ rows }) => rows.map(({ key }) => key)))];
  const charts = keys.flatMap((key) => {
    const measured = comparisons.flatMap(({ stage, rows }) =>
      rows.filter((row) => row.key === key).map(({ cells }) => ({ stage, cells })),
    );
    if (measured.length < 2 || !followed.has(metricName(key)) || key.startsWith('held out/')) return [];
    const curves = variants.map((name, colour): Curve => {
      const present = measured.flatMap(({ cells }, i) => (cells.has(name) ? [{ i, cell: cells.get(name)! }] : []));
      const points = present.map(({ i, cell }): Point => [i, cell.mean]);
      return { name, colour, mark: 'dots', points, deviations: present.map(({ cell }) => cell.deviation) };
    });
    const kind = metricKind(key);
    const stages = measured.map(({ stage }) => stage);
    const title = `${kind.label[0]!.toUpperCase()}${kind.label.slice(1)}, ${subjectLabel(key)}`;
    const description = `${title}, after ${stages.join(', ')}: the values are in the table above.`;
    return [
      lineChart({
        title,
        description,
        xLabel: 'after stage',
        curves,
        categories: stages,
        kind,
      }),
    ];
  });
  return charts.length > 0 && html`<div class="charts">${charts}</div>`;
}
