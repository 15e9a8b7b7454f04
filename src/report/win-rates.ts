import { isAgainst, metricSubject, subjectLabel } from '../evaluation/metrics.ts';
import type { StageComparison } from './comparison.ts';
import type { Cell } from './differences.ts';
import { formatMetric } from './format.ts';
import { type Fragment, html, type Markup } from './html.ts';

/** By whom it is judged who wins, and the metrics that say so. */
const judges = [
  { name: 'judged by the correct answers', wins: 'wins', losses: 'losses' },
  { name: 'judged by one reward model', wins: 'modelWins', losses: 'modelLosses' },
  { name: 'judged by a model that reads both, in either order', wins: 'chatWins', losses: 'chatLosses' },
] as const;

/** Whom the models played: an earlier stage, another variant after the same one, or both. */
export interface Opponents {
  stage?: string | undefined;
  variant?: string | undefined;
}

/**
 * For each judge, dataset and opponent, a bar for each stage and variant: the prompts won, tied and lost against the
 * opponent.
 */
export function winRateCharts(
  comparisons: readonly StageComparison[],
  variants: readonly string[],
  opponents: Opponents,
): Fragment {
  const charts = judges.flatMap(({ name, wins, losses }) =>
    subjectsOf(comparisons, wins).map((subject) => {
      const inCrossPlay = opponents.variant !== undefined && isAgainst(subject, opponents.variant);
      const players = variants.filter((variant) => !inCrossPlay || variant !== opponents.variant);
      const opponent = inCrossPlay ? `${opponents.variant} after the same stage` : (opponents.stage ?? 'the opponent');
      const bars = comparisons.flatMap(({ stage, rows }) => {
        const cellsOf = (metric: string) => rows.find(({ key }) => key === `${subject}/${metric}`)?.cells;
        return players.flatMap((variant) => {
          const [won, lost] = [cellsOf(wins)?.get(variant), cellsOf(losses)?.get(variant)];
          return won && lost ? [bar(stage, variant, variants.indexOf(variant), won, lost)] : [];
        });
      });
      const apart = comparisons.some(({ rows }) =>
        rows.some((row) => row.key === `${subject}/${wins}` && row.judgedApart),
      );
      return html`<figure class="chart wins">
<figcaption>Responses against those of ${opponent} <small>${apart ? 'each judged by its own reward model, so not comparable' : name} · ${subjectLabel(`${subject}/`)}</small></figcaption>
<table><thead><tr><th scope="col">Stage</th><th scope="col"></th><th scope="col" class="number">won</th><th scope="col" class="number">tied</th><th scope="col" class="number">lost</th><th scope="col" class="picture"></th></tr></thead>
<tbody>${bars}</tbody></table>
</figure>`;
    }),
  );
  return charts.length > 0 && html`<div class="charts">${charts}</div>`;
}

function subjectsOf(comparisons: readonly StageComparison[], metric: string): string[] {
  const keys = comparisons.flatMap(({ rows }) => rows.map(({ key }) => key));
  return [...new Set(keys.filter((key) => key.endsWith(`/${metric}`)).map(metricSubject))];
}

/** Shares are means over the seeds. */
function bar(stage: string, variant: string, colour: number, won: Cell, lost: Cell): Markup {
  const shares = { won: won.mean, tied: 1 - won.mean - lost.mean, lost: lost.mean };
  const written = (share: number) => formatMetric(share, { label: '', share: true });
  const part = ([kind, share]: [string, number]) =>
    html`<i class="${kind}" style="flex-grow: ${share.toFixed(4)}"></i>`;
  return html`<tr class="c${colour}"><th scope="row">${stage}</th><td><i class="key"></i>${variant}</td>
${Object.values(shares).map((share) => html`<td class="number">${written(share)}</td>`)}
<td class="picture"><span class="bar" aria-hidden="true">${Object.entries(shares).map(part)}</span></td></tr>`;
}
