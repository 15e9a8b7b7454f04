import type { RecordedNode } from '../runs/pipeline-folder.ts';
import { unequalBudgets } from '../runs/unequal-budgets.ts';
import { spread } from './comparison.ts';
import { formatCount, formatNumber, formatSeconds } from './format.ts';
import { type Fragment, html } from './html.ts';

/** Where variants were trained on different budgets, in one sentence; nothing where all are equal. */
export function budgetSentences(nodes: readonly RecordedNode[]): string[] {
  const differences = unequalBudgets(nodes);
  return differences.length > 0 ? [`Budgets differ: ${differences.join('; ')}.`] : [];
}

/** What each stage has spent for each variant, in the mean over its seeds; nothing where none has recorded it. */
export function budgetTable(nodes: readonly RecordedNode[]): Fragment {
  const spent = nodes.filter(({ budget }) => budget !== undefined);
  if (spent.length === 0) return undefined;
  const rows = [...new Set(spent.map(({ stage, variant }) => `${stage}/${variant ?? 'shared'}`))].map((name) => ({
    name,
    own: spent.filter(({ stage, variant }) => `${stage}/${variant ?? 'shared'}` === name),
  }));
  return html`<h3>Budgets</h3>
<div class="scroll" role="region" aria-label="Budgets" tabindex="0"><table class="runs">
<thead><tr><th scope="col">Stage and variant</th><th scope="col" class="number">Seeds</th><th scope="col" class="number">Steps</th><th scope="col" class="number">Prompts</th>
<th scope="col" class="number">Tokens</th><th scope="col" class="number">Trained</th><th scope="col" class="number">Operations</th><th scope="col" class="number">Time</th><th scope="col">Rows</th></tr></thead>
<tbody>${rows.map(({ name, own }) => budgetRow(name, own))}</tbody>
</table></div>
<p class="soft">Means over the seeds. Rows: the beginning of a digest of all rows in the order in which they were learned from, of the first seed; where responses are sampled, of the prompts.</p>`;
}

function budgetRow(name: string, nodes: readonly RecordedNode[]): Fragment {
  const meanOf = (key: 'steps' | 'prompts' | 'tokens' | 'trainedTokens' | 'flops') =>
    spread(nodes.map(({ budget }) => budget?.[key] ?? 0)).mean;
  const count = (key: Parameters<typeof meanOf>[0]) => formatCount(Math.round(meanOf(key)));
  const seconds = spread(nodes.map(({ done }) => done.seconds ?? Number.NaN)).mean;
  const { prompts, batches } = nodes[0]!.budget!;
  return html`<tr><th scope="row">${name}</th><td class="number">${nodes.length}</td><td class="number">${count('steps')}</td><td class="number">${prompts === undefined ? '–' : count('prompts')}</td>
<td class="number">${count('tokens')}</td><td class="number">${count('trainedTokens')}</td><td class="number">${formatNumber(meanOf('flops'))}</td><td class="number">${formatSeconds(seconds)}</td><td><code>${batches.slice(0, 8)}</code></td></tr>`;
}
