import type { ResultRow } from '../runs/results.ts';
import { type Fragment, html } from './html.ts';

/** What has to be known about measured values, each with the model that it is about. */
export function remarkList(results: readonly ResultRow[]): Fragment {
  const lines = results.flatMap(({ stage, variant, seed, remarks = [] }) => {
    const model = [stage, variant, seed === undefined ? undefined : `seed ${seed}`].filter(Boolean).join(', ');
    return remarks.map((remark) => html`<li><b>${model}</b>: ${remark}</li>`);
  });
  return lines.length > 0 && html`<ul class="remarks">${lines}</ul>`;
}
