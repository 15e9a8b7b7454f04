import { metricKind, metricName, metricSubject, subjectLabel } from '../evaluation/metrics.ts';
import type { StageComparison } from './comparison.ts';
import type { Cell, Difference, MetricRow } from './differences.ts';
import { formatDifference, formatInterval, formatMetric, formatRelative, formatSpread } from './format.ts';
import { html, type Markup } from './html.ts';

/** What guessing gives stands beside what it belongs to, and wins and losses in a picture of their own. */
const notInTable = new Set(['chance', 'wins', 'losses', 'modelWins', 'modelLosses']);

/** Metric × variant for each stage; after them each variant's difference from the first. */
export function comparisonTable(comparisons: readonly StageComparison[], variants: readonly string[]): Markup {
  const [reference, ...others] = variants;
  const columns = 1 + variants.length + others.length;
  return html`<div class="scroll" role="region" aria-label="Metrics by stage and variant" tabindex="0"><table class="comparison${variants.length > 2 && ' wide'}">
<thead><tr><th scope="col">Metric</th>${variants.map((name, i) => html`<th scope="col" class="number c${i}"><i class="key"></i>${name}</th>`)}
${others.map((name) => html`<th scope="col" class="number">${others.length > 1 ? `${name} − ${reference}` : 'Difference'}</th>`)}</tr></thead>
${comparisons.map(
  ({ stage, rows }) => html`<tbody>
<tr class="group"><th colspan="${columns}" scope="rowgroup">${stage}</th></tr>
${rows.filter(({ key }) => !notInTable.has(metricName(key))).map((row) => tableRow(row, variants, chanceOf(row, rows)))}
</tbody>`,
)}
</table></div>
${glossary(comparisons)}`;
}

function glossary(comparisons: readonly StageComparison[]): Markup {
  const kinds = comparisons.flatMap(({ rows }) => rows.map(({ key }) => metricKind(key)));
  const meanings = new Map(kinds.flatMap(({ label, meaning }) => (meaning ? [[label, meaning] as const] : [])));
  return html`<details><summary>What the metrics mean</summary><dl class="glossary">
${[...meanings].map(([label, meaning]) => html`<dt>${label}</dt><dd>${meaning}</dd>`)}
${
  hasSeveralSeeds(comparisons) &&
  html`<dt>±</dt><dd>sample standard deviation over the seeds: how far single runs lie apart, not a confidence interval of the mean</dd>
<dt>[low, high]</dt><dd>95 % interval of the mean difference over the seeds that both variants have (paired t)</dd>
<dt><span class="good">coloured</span></dt><dd>shown at 5 %: the first metric of the summary tested by itself, all others of the stage together (Holm)</dd>`
}
<dt>held out</dt><dd>measured by the stage itself, on rows of its data that it does not train on</dd>
</dl></details>`;
}

const hasSeveralSeeds = (comparisons: readonly StageComparison[]): boolean =>
  comparisons.some(({ rows }) => rows.some(({ cells }) => [...cells.values()].some(({ bySeed }) => bySeed.size > 1)));

/** What guessing would give on the task of an accuracy. */
function chanceOf({ key }: MetricRow, rows: readonly MetricRow[]): string | undefined {
  const chance = rows
    .find((row) => row.key === `${metricSubject(key)}/chance`)
    ?.cells.values()
    .next().value;
  return metricName(key).startsWith('accuracy') && chance
    ? formatMetric(chance.mean, { label: '', share: true })
    : undefined;
}

function tableRow(row: MetricRow, variants: readonly string[], chance: string | undefined): Markup {
  const { key, cells } = row;
  const kind = metricKind(key);
  const subject = subjectLabel(key);
  const arrow =
    kind.better &&
    !row.judgedApart &&
    html` <span class="better" title="${kind.better} is better">${kind.better === 'higher' ? '↑' : '↓'}</span>`;
  return html`<tr><th scope="row">${kind.label}${arrow}${subject && html` <small title="${metricSubject(key)}">${subject}${chance && `, chance ${chance}`}</small>`}${row.judgedApart && html` <small>· ${kind.judge === 'itself' ? 'each on a scale of its own' : 'each by its own reward model'}</small>`}</th>
${variants.map((variant) => valueCell(cells.get(variant), key))}
${variants.slice(1).map((variant) => differenceCell(row, row.differences.get(variant)))}</tr>`;
}

function valueCell(cell: Cell | undefined, key: string): Markup {
  if (!cell) return html`<td class="number missing">not run</td>`;
  return html`<td class="number">${formatSpread(cell.mean, cell.deviation, metricKind(key))}</td>`;
}

function differenceCell({ key, judgedApart }: MetricRow, difference: Difference | undefined): Markup {
  if (!difference?.seeds || judgedApart) return html`<td class="number missing">–</td>`;
  const kind = metricKind(key);
  const { mean, interval, relative, seeds, seedsBetter, shown } = difference;
  const judgement = shown ? (shown === 'better' ? ' good' : ' bad') : '';
  const remarks = [
    interval && formatInterval(interval, kind),
    relative !== undefined && formatRelative(relative),
    kind.better && seeds > 1 && mean !== 0 && `better in ${seedsBetter} of ${seeds} seeds`,
  ].filter(Boolean);
  return html`<td class="number${judgement}">${formatDifference(mean, kind)}${remarks.map((remark) => html` <small>${remark}</small>`)}</td>`;
}
