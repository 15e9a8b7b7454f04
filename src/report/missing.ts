import type { RecordedNode } from '../runs/pipeline-folder.ts';
import type { StageComparison } from './comparison.ts';
import { headlineRows } from './differences.ts';
import { listed } from './words.ts';

/** Nodes that are named, at most. */
const mostNames = 6;

/** What has no result, how much of it, and why. */
export function missing(nodes: readonly RecordedNode[]): string[] {
  const planned = seedsOf(nodes);
  return (['failed', 'broken off', 'stopped', 'running', 'not run'] as const).flatMap((status) => {
    const found = nodes.filter((node) => node.status === status);
    if (found.length === 0) return [];
    const named = found.slice(0, mostNames).map(({ id }) => id);
    const rest = found.length - named.length;
    const names = listed(rest > 0 ? [...named, `${rest} more`] : named);
    const seeds = seedsOf(found);
    const share = planned > 1 && seeds > 0 ? ` (${seeds} of ${planned} seeds)` : '';
    return [`${status[0]!.toUpperCase()}${status.slice(1)}: ${names}${share}.`];
  });
}

/** Seeds of the stages that run with several. */
function seedsOf(nodes: readonly RecordedNode[]): number {
  return new Set(nodes.filter(({ variant = 'shared' }) => variant !== 'shared').map(({ seed }) => seed)).size;
}

/** Which seeds a comparison leaves out on both sides because one variant has no result of them. */
export function missingSeeds({ stage, run, rows, named }: StageComparison, variants: readonly string[]): string[] {
  const cells = headlineRows(run, rows, named)[0]?.cells;
  if (!cells) return [];
  const seeds = new Set([...cells.values()].flatMap(({ bySeed }) => [...bySeed.keys()]));
  const lacking = variants.flatMap((variant) => {
    const bySeed = cells.get(variant)?.bySeed;
    const without = bySeed ? [...seeds].filter((seed) => !bySeed.has(seed)).sort((a, b) => a - b) : [];
    return without.length > 0
      ? [`${variant} has no result of seed${without.length > 1 ? 's' : ''} ${listed(without.map(String))}`]
      : [];
  });
  return lacking.length > 0 ? [`After ${stage}, ${listed(lacking)}: left out of its differences on both sides.`] : [];
}
