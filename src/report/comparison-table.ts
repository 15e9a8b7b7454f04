import { metricKind, metricName, metricSubject, subjectLabel } from '../evaluation/metrics.ts';
import { type Cell, canBeJudged, difference, type MetricRow, type StageComparison } from './comparison.ts';
import { formatDifference, formatMetric, formatRelative, formatSpread } from './format.ts';
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
${hasSeveralSeeds(comparisons) && html`<dt>±</dt><dd>sample standard deviation between the seeds: how far single runs lie apart; it is no confidence interval of the mean</dd>`}
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
  const best = canBeJudged(row) ? bestOf(key, cells) : [];
  const reference = cells.get(variants[0]!);
  const arrow =
    kind.better &&
    !row.judgedApart &&
    html` <span class="better" title="${kind.better} is better">${kind.better === 'higher' ? '↑' : '↓'}</span>`;
  return html`<tr><th scope="row">${kind.label}${arrow}${subject && html` <small title="${metricSubject(key)}">${subject}${chance && `, chance ${chance}`}</small>`}${row.judgedApart && html` <small>· ${kind.judge === 'itself' ? 'each on a scale of its own' : 'each by its own reward model'}</small>`}</th>
${variants.map((variant) => valueCell(cells.get(variant), key, best.includes(variant)))}
${variants.slice(1).map((variant) => differenceCell(row, reference, cells.get(variant)))}</tr>`;
}

function valueCell(cell: Cell | undefined, key: string, isBest: boolean): Markup {
  if (!cell) return html`<td class="number missing">not run</td>`;
  const text = formatSpread(cell.mean, cell.deviation, metricKind(key));
  return html`<td class="number">${isBest ? html`<strong>${text}</strong>` : text}</td>`;
}

function differenceCell(row: MetricRow, reference: Cell | undefined, cell: Cell | undefined): Markup {
  const { key } = row;
  if (!reference || !cell || row.judgedApart) return html`<td class="number missing">–</td>`;
  const kind = metricKind(key);
  const { value, relative, seeds, seedsBetter } = difference(key, reference, cell);
  const isGood = value > 0 === (kind.better === 'higher');
  const judgement = kind.better && canBeJudged(row) && value !== 0 ? (isGood ? ' good' : ' bad') : '';
  const remarks = [
    relative !== undefined && formatRelative(relative),
    kind.better && seeds > 1 && value !== 0 && `better in ${seedsBetter} of ${seeds} seeds`,
  ].filter(Boolean);
  return html`<td class="number${judgement}">${formatDifference(value, kind)}${remarks.map((remark) => html` <small>${remark}</small>`)}</td>`;
}

/** The variants whose mean is best as it is printed; none where the metric has no direction or all print the same. */
function bestOf(key: string, cells: ReadonlyMap<string, Cell>): readonly string[] {
  const kind = metricKind(key);
  const finite = [...cells].filter(([, { mean }]) => Number.isFinite(mean));
  if (!kind.better || finite.length < 2) return [];
  const means = finite.map(([, { mean }]) => mean);
  const best = kind.better === 'higher' ? Math.max(...means) : Math.min(...means);
  const leaders = finite.filter(([, { mean }]) => formatMetric(mean, kind) === formatMetric(best, kind));
  return leaders.length < finite.length ? leaders.map(([variant]) => variant) : [];
}
