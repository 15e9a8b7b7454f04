import { type Cell, difference, type MetricRow, type StageComparison } from './comparison.ts';
import { type Fragment, html, type Markup } from './html.ts';
import { formatDifference, formatMetric, formatRelative, metricKind, metricSubject } from './metric.ts';

/** Metric × variant for each stage; behind them each variant's difference from the first. */
export function comparisonTable(comparisons: readonly StageComparison[], variants: readonly string[]): Markup {
  const [reference, ...others] = variants;
  const columns = 1 + variants.length + others.length;
  return html`<div class="scroll"><table class="comparison">
<thead><tr><th scope="col">Metric</th>${variants.map((name, i) => html`<th scope="col" class="number c${i}"><i class="key line"></i>${name}</th>`)}
${others.map((name) => html`<th scope="col" class="number">${others.length > 1 ? `${name} − ${reference}` : 'Difference'}</th>`)}</tr></thead>
${comparisons.map(
  ({ stage, rows }) => html`<tbody>
<tr class="group"><th colspan="${columns}" scope="rowgroup">${stage}</th></tr>
${rows.map((row) => tableRow(row, variants))}
</tbody>`,
)}
</table></div>`;
}

function tableRow({ key, cells }: MetricRow, variants: readonly string[]): Markup {
  const kind = metricKind(key);
  const subject = metricSubject(key);
  const best = bestOf(key, cells);
  const reference = cells.get(variants[0]!);
  const arrow =
    kind.better &&
    html` <span class="better" title="${kind.better} is better">${kind.better === 'higher' ? '↑' : '↓'}</span>`;
  return html`<tr><th scope="row">${kind.label}${arrow}${subject && html` <small>${subject}</small>`}</th>
${variants.map((variant) => valueCell(cells.get(variant), key, variant === best))}
${variants.slice(1).map((variant) => differenceCell(key, reference, cells.get(variant)))}</tr>`;
}

function valueCell(cell: Cell | undefined, key: string, isBest: boolean): Markup {
  if (!cell) return html`<td class="number missing">not run</td>`;
  const kind = metricKind(key);
  const text = formatMetric(cell.mean, kind);
  const deviation =
    cell.deviation !== undefined && html` <span class="deviation">± ${formatMetric(cell.deviation, kind)}</span>`;
  return html`<td class="number">${isBest ? html`<strong>${text}</strong>` : text}${deviation}</td>`;
}

function differenceCell(key: string, reference: Cell | undefined, cell: Cell | undefined): Fragment {
  if (!reference || !cell) return html`<td class="number missing">–</td>`;
  const kind = metricKind(key);
  const { value, relative, seeds, seedsBetter } = difference(key, reference, cell);
  const good = kind.better && value !== 0 && (value > 0 === (kind.better === 'higher') ? 'good' : 'bad');
  const share = relative !== undefined && html` <small>(${formatRelative(relative)})</small>`;
  const agreement = kind.better && seeds > 1 && html` <small>better in ${seedsBetter} of ${seeds} seeds</small>`;
  return html`<td class="number ${good}">${formatDifference(value, kind)}${share}${agreement}</td>`;
}

/** The variant whose mean is best, where the metric has a direction and the printed values differ. */
function bestOf(key: string, cells: ReadonlyMap<string, Cell>): string | undefined {
  const kind = metricKind(key);
  const finite = [...cells].filter(([, { mean }]) => Number.isFinite(mean));
  if (!kind.better || finite.length < 2 || new Set(finite.map(([, { mean }]) => formatMetric(mean, kind))).size < 2)
    return undefined;
  const sign = kind.better === 'higher' ? 1 : -1;
  return finite.reduce((best, entry) => (sign * entry[1].mean > sign * best[1].mean ? entry : best))[0];
}
