import { metricKind, metricName, subjectLabel } from '../evaluation/metrics.ts';
import type { PlanFile } from '../runs/plan-file.ts';
import type { StageComparison } from './comparison.ts';
import { formatMetric, formatSpread } from './format.ts';
import { type Fragment, html, type Markup } from './html.ts';

type Published = PlanFile['published'][number];

/** What others have published for the setting of this run, beside what was measured here; nothing where none is. */
export function publishedTables(
  published: readonly Published[],
  comparisons: readonly StageComparison[],
  variants: readonly string[],
): Fragment {
  const tables = published.map((entry) => publishedTable(entry, comparisons, variants));
  return tables.length > 0 && html`<h3>Published</h3>\n${tables}`;
}

function publishedTable(
  { source, stage, metric, note, values }: Published,
  comparisons: readonly StageComparison[],
  variants: readonly string[],
): Markup {
  const rows = comparisons.find((comparison) => comparison.stage === stage)?.rows ?? [];
  const measured = rows.find(({ key }) => metricName(key) === metric);
  const kind = metricKind(metric);
  const subject = measured && subjectLabel(measured.key);
  return html`<table class="facts published"><caption>${kind.label[0]!.toUpperCase()}${kind.label.slice(1)} after ${stage}, as in ${source} and here${note && html` <small>${note}</small>`}</caption>
<thead><tr><th scope="col">Variant</th><th scope="col" class="number">published</th><th scope="col" class="number">here${subject && `, ${subject}`}</th></tr></thead>
<tbody>${variants.flatMap((variant, colour) => {
    const cell = measured?.cells.get(variant);
    const value = values[variant];
    return html`<tr><th scope="row" class="c${colour}"><i class="key"></i>${variant}</th><td class="number">${value === undefined ? '–' : formatMetric(value, kind)}</td><td class="number">${cell ? formatSpread(cell.mean, cell.deviation, kind) : 'not run'}</td></tr>`;
  })}</tbody></table>`;
}
