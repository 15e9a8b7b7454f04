import { metricKind, metricName, metricSubject, subjectLabel } from '../evaluation/metrics.ts';
import type { StageComparison } from './comparison.ts';
import type { Cell, MetricRow } from './differences.ts';
import { evidenceTable } from './evidence-table.ts';
import { formatDifference, formatInterval, formatMetric, formatP, formatRelative, formatSpread } from './format.ts';
import { html, type Markup } from './html.ts';
import type { TwoModels } from './item-evidence.ts';

/** What guessing gives stands beside what it belongs to, and wins and losses in a picture of their own. */
const notInTable = new Set(['chance', 'wins', 'losses', 'modelWins', 'modelLosses']);

/** Metric × variant for each stage; after them each variant's difference from the first. */
export function comparisonTable(comparisons: readonly StageComparison[], variants: readonly string[]): Markup {
  const [reference, ...others] = variants;
  const columns = 1 + variants.length + others.length;
  const seeds = seedsOf(comparisons);
  return html`<div class="scroll" role="region" aria-label="Metrics by stage and variant" tabindex="0"><table class="comparison${variants.length > 2 && ' wide'}">
<thead><tr><th scope="col">Metric${seeds > 1 && html` <small>of up to ${seeds} seeds</small>`}</th>${variants.map((name, i) => html`<th scope="col" class="number c${i}"><i class="key"></i>${name}${seeds > 1 && html` <small>mean ± SD</small>`}</th>`)}
${others.map((name) => html`<th scope="col" class="number">${others.length > 1 ? `${name} − ${reference}` : 'Difference'}${seeds > 1 && html` <small>[95 %]</small>`}</th>`)}</tr></thead>
${comparisons.map(
  (comparison) => html`<tbody>
<tr class="group"><th colspan="${columns}" scope="rowgroup">${comparison.stage}${comparison.isShared && html` <small>the same for all variants</small>`}</th></tr>
${comparison.rows.filter(({ key }) => !notInTable.has(metricName(key))).map((row) => tableRow(row, comparison, variants))}
</tbody>`,
)}
</table></div>
${evidenceTable(comparisons, variants)}
${glossary(comparisons)}`;
}

function glossary(comparisons: readonly StageComparison[]): Markup {
  const kinds = comparisons.flatMap(({ rows }) => rows.map(({ key }) => metricKind(key)));
  const meanings = new Map(kinds.flatMap(({ label, meaning }) => (meaning ? [[label, meaning] as const] : [])));
  return html`<details><summary>What the metrics mean</summary><dl class="glossary">
${[...meanings].map(([label, meaning]) => html`<dt>${label}</dt><dd>${meaning}</dd>`)}
${
  seedsOf(comparisons) > 1
    ? html`<dt>±, SD</dt><dd>sample standard deviation over the seeds: how far single runs lie apart, not a confidence interval of the mean</dd>
<dt>[low, high]</dt><dd>95 % interval of the mean difference over the seeds that both variants have (paired t)</dd>
<dt><span class="good">coloured</span></dt><dd>shown at 5 %: the primary metric of a stage tested by itself, all others of the stage together (Holm)</dd>`
    : html`<dt>these two models</dt><dd>questions that just one of them answers correctly, and p of McNemar’s exact test; it says nothing of the variants, as another seed would train other models</dd>`
}
<dt>primary</dt><dd>the metric that decides after a stage: what the pipeline names as <code>primary</code>, else the first that is usual for such a stage</dd>
<dt>held out</dt><dd>measured by the stage itself, on rows of its data that it does not train on</dd>
</dl></details>`;
}

/** Seeds of the cell that has the most. */
const seedsOf = (comparisons: readonly StageComparison[]): number =>
  Math.max(
    ...comparisons.flatMap(({ rows }) =>
      rows.flatMap(({ cells }) => [...cells.values()].map(({ bySeed }) => bySeed.size)),
    ),
  );

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

function tableRow(row: MetricRow, { isShared, primary, rows }: StageComparison, variants: readonly string[]): Markup {
  const { key, cells } = row;
  const chance = chanceOf(row, rows);
  const kind = metricKind(key);
  const subject = subjectLabel(key);
  const arrow =
    kind.better &&
    !row.judgedApart &&
    html` <span class="better" title="${kind.better} is better">${kind.better === 'higher' ? '↑' : '↓'}</span>`;
  return html`<tr><th scope="row">${kind.label}${arrow}${subject && html` <small title="${metricSubject(key)}">${subject}${chance && `, chance ${chance}`}</small>`}${row.judgedApart && html` <small>· ${kind.judge === 'itself' ? 'each on a scale of its own' : 'each by its own reward model'}</small>`}${key === primary && !isShared && html` <small>· primary</small>`}</th>
${variants.map((variant) => valueCell(cells.get(variant), key))}
${variants.slice(1).map((variant) => (isShared ? html`<td></td>` : differenceCell(row, variant, variants[0]!)))}</tr>`;
}

function valueCell(cell: Cell | undefined, key: string): Markup {
  if (!cell) return html`<td class="number missing">not run</td>`;
  return html`<td class="number">${formatSpread(cell.mean, cell.deviation, metricKind(key))}</td>`;
}

function differenceCell({ key, judgedApart, differences }: MetricRow, variant: string, reference: string): Markup {
  const difference = differences.get(variant);
  if (!difference?.seeds || judgedApart) return html`<td class="number missing">–</td>`;
  const kind = metricKind(key);
  const { mean, interval, relative, seeds, seedsBetter, shown, items } = difference;
  const judgement = shown ? (shown === 'better' ? ' good' : ' bad') : '';
  const remarks = [
    interval && formatInterval(interval, kind),
    relative !== undefined && formatRelative(relative),
    kind.better && seeds > 1 && mean !== 0 && `better in ${seedsBetter} of ${seeds} seeds`,
    items?.twoModels && ofTwoModels(items.items, items.twoModels, [variant, reference]),
  ].filter(Boolean);
  return html`<td class="number${judgement}">${formatDifference(mean, kind)}${remarks.map((remark) => html` <small>${remark}</small>`)}</td>`;
}

/** `these two models: 12 of 180 right by mix alone, 5 by pre alone, p 0.143` */
function ofTwoModels(
  items: number,
  { onlyVariant, onlyReference, p }: TwoModels,
  [variant, reference]: readonly [string, string],
): string {
  return `these two models: ${onlyVariant} of ${items} right by ${variant} alone, ${onlyReference} by ${reference} alone, p ${formatP(p)}`;
}
