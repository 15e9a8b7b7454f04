import { parse } from 'yaml';
import type { RecordedNode } from '../runs/pipeline-folder.ts';
import { formatCount, formatSeconds } from './format.ts';
import { type Fragment, html, type Markup } from './html.ts';

/** One row a node: how far it came, how long it took, how fast, how much memory. */
export function runsTable(nodes: readonly RecordedNode[]): Markup {
  return html`<div class="scroll" role="region" aria-label="Nodes" tabindex="0"><table class="runs">
<thead><tr><th scope="col">Node</th><th scope="col">State</th><th scope="col" class="number">Steps</th><th scope="col" class="number">Time</th>
<th scope="col" class="number">Tokens/s</th><th scope="col" class="number">Peak memory</th></tr></thead>
<tbody>${nodes.map(runRow)}</tbody>
<tfoot><tr><th scope="row" colspan="3">All nodes</th><td class="number">${formatSeconds(nodes.reduce((sum, node) => sum + (secondsOf(node) ?? 0), 0))}</td><td colspan="2"></td></tr></tfoot>
</table></div>`;
}

function runRow(node: RecordedNode): Markup {
  const last = node.steps.at(-1);
  const total = last?.totalSteps;
  const step = last?.step ?? node.done.step;
  const steps =
    step === undefined
      ? '–'
      : total === undefined || total === step
        ? formatCount(step)
        : `${formatCount(step)} of ${formatCount(total)}`;
  const speed = median(
    node.steps.flatMap(({ tokensPerSecond }) => (tokensPerSecond === undefined ? [] : [tokensPerSecond])),
  );
  const memory = node.done.peakRssBytes;
  return html`<tr><th scope="row">${node.id}</th><td class="state ${node.status.replace(' ', '-')}">${node.status}${node.lastWords && html`<small class="text">${node.lastWords}</small>`}</td>
<td class="number">${steps}</td><td class="number">${formatSeconds(secondsOf(node) ?? Number.NaN)}</td>
<td class="number">${speed === undefined ? '–' : formatCount(Math.round(speed))}</td><td class="number">${memory === undefined ? '–' : formatBytes(memory)}</td></tr>`;
}

const secondsOf = ({ done, steps }: RecordedNode): number | undefined => done.seconds ?? steps.at(-1)?.seconds;

/** The middle of the finite values: one slow step, such as the first, does not move it. */
function median(values: readonly number[]): number | undefined {
  const sorted = values.filter(Number.isFinite).sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1
    ? sorted[middle]
    : sorted.length === 0
      ? undefined
      : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

export function formatBytes(bytes: number): string {
  return bytes < 1e9 ? `${Math.round(bytes / 1e6)} MB` : `${(bytes / 1e9).toFixed(2)} GB`;
}

/** Each node's config.yaml, folded. */
export function configs(nodes: readonly RecordedNode[]): Fragment {
  return nodes
    .filter(({ config }) => config !== '')
    .map(({ id, config }) => html`<details><summary>${id}</summary><pre>${config}</pre></details>`);
}

/**
 * What makes the variants different: the settings, by stage, that not all of them share, as `norm: mix, postLayers:
 * 25%`.
 */
export function variantSettings(nodes: readonly RecordedNode[], variants: readonly string[]): Map<string, string> {
  const settings = new Map<string, string[]>(variants.map((variant) => [variant, []]));
  for (const stage of new Set(nodes.map((node) => node.stage))) {
    const byVariant = variants.flatMap((variant) => {
      const node = nodes.find(
        (candidate) => candidate.stage === stage && candidate.variant === variant && candidate.config !== '',
      );
      return node ? [{ variant, values: flatSettings(node.config) }] : [];
    });
    for (const key of new Set(byVariant.flatMap(({ values }) => [...values.keys()]))) {
      if (new Set(byVariant.map(({ values }) => values.get(key))).size < 2) continue;
      for (const { variant, values } of byVariant) {
        if (values.has(key)) settings.get(variant)!.push(`${stage}.${key}: ${values.get(key)}`);
      }
    }
  }
  return new Map([...settings].map(([variant, list]) => [variant, list.join(', ')]));
}

function flatSettings(yaml: string): Map<string, string> {
  const flat = new Map<string, string>();
  const visit = (value: unknown, path: string): void => {
    if (typeof value === 'object' && value !== null) {
      for (const [key, inner] of Object.entries(value)) visit(inner, path === '' ? key : `${path}.${key}`);
    } else if (value !== undefined && value !== null) flat.set(path, String(value));
  };
  visit(parse(yaml, { logLevel: 'silent' }), '');
  return flat;
}
