import { metricKind, metricName, subjectLabel } from '../evaluation/metrics.ts';
import type { StageComparison } from './comparison.ts';
import type { Difference, MetricRow } from './differences.ts';
import { type Fragment, html, type Markup } from './html.ts';

/** Shares that are no score of a task: what guessing gives, and contests with an opponent. */
const notScores = new Set(['chance', 'winRate', 'wins', 'losses', 'modelWinRate', 'modelWins', 'modelLosses']);

/** Variant × task after each stage, with the mean over the tasks; nothing where there are fewer than two tasks. */
export function taskTable(comparisons: readonly StageComparison[], variants: readonly string[]): Fragment {
  const scored = comparisons.map(({ stage, rows }) => ({ stage, scores: scoresOf(rows) }));
  const keys = [...new Set(scored.flatMap(({ scores }) => scores.map(({ key }) => key)))];
  if (keys.length < 2) return undefined;
  const shown = scored.filter(({ scores }) => scores.length > 0);
  return html`<h3>Tasks</h3>
<div class="scroll" role="region" aria-label="Variants by task" tabindex="0"><table class="tasks">
<thead><tr><th scope="col">Variant</th>${keys.map((key) => html`<th scope="col" class="number">${subjectLabel(key)} <small>${metricKind(key).label}, %</small></th>`)}<th scope="col" class="number">mean <small>%</small></th></tr></thead>
${shown.map(
  ({ stage, scores }) => html`<tbody>
<tr class="group"><th colspan="${keys.length + 2}" scope="rowgroup">${stage}</th></tr>
${variants.map((variant, colour) => variantRow(variant, colour, keys, scores))}
</tbody>`,
)}
</table></div>`;
}

/** Of each task the first score that was measured: those after it say the same in another way. */
function scoresOf(rows: readonly MetricRow[]): MetricRow[] {
  const subjects = new Set<string>();
  return rows.filter(({ key, judgedApart }) => {
    const { share, better } = metricKind(key);
    const subject = subjectLabel(key);
    const isScore = share && better === 'higher' && !judgedApart && subject && !notScores.has(metricName(key));
    return isScore && !key.startsWith('held out/') && !subjects.has(subject) && subjects.add(subject);
  });
}

function variantRow(variant: string, colour: number, keys: readonly string[], scores: readonly MetricRow[]): Markup {
  const found = keys.map((key) => scores.find((row) => row.key === key));
  const means = found.flatMap((row) => row?.cells.get(variant)?.mean ?? []);
  const mean = means.length === keys.length ? means.reduce((sum, value) => sum + value, 0) / means.length : undefined;
  return html`<tr><th scope="row" class="c${colour}"><i class="key"></i>${variant}</th>
${found.map((row) => scoreCell(row, variant))}
<td class="number">${mean === undefined ? '–' : percent(mean)}</td></tr>`;
}

function scoreCell(row: MetricRow | undefined, variant: string): Markup {
  const cell = row?.cells.get(variant);
  if (!row || !cell) return html`<td class="number missing">–</td>`;
  const judgement = judgementOf(row.differences.get(variant));
  const deviation = cell.deviation !== undefined && html` <small>± ${percent(cell.deviation)}</small>`;
  return html`<td class="number${judgement}">${percent(cell.mean)}${deviation}</td>`;
}

const percent = (share: number): string => (100 * share).toFixed(1);

const judgementOf = (difference: Difference | undefined): string =>
  difference?.shown ? (difference.shown === 'better' ? ' good' : ' bad') : '';
