import { metricKind, metricName, subjectLabel } from '../evaluation/metrics.ts';
import type { RecordedNode } from '../runs/pipeline-folder.ts';
import { canBeJudged, type MetricRow, type StageComparison } from './comparison.ts';
import { formatMetric, formatSpread } from './format.ts';

const fromRewards = ['exactMatch', 'winRate', 'held out/reward'];

/** What a reader wants to know first, by the kind of stage. */
const headlines: Readonly<Record<string, readonly string[]>> = {
  pretrain: ['perplexity', 'exactMatch', 'accuracy', 'loss'],
  dpo: ['held out/accuracy', 'preferenceAccuracy', 'exactMatch', 'perplexity'],
  ppo: fromRewards,
  rloo: fromRewards,
  grpo: fromRewards,
};
const otherHeadlines = ['exactMatch', 'accuracy', 'perplexity', 'loss'];

/**
 * The result in sentences: for each stage, who is ahead on the two metrics that matter most and by how much, or with
 * one seed only what was measured; how far that can be believed; then what is missing.
 */
export function summarise(
  comparisons: readonly StageComparison[],
  nodes: readonly RecordedNode[],
  variants: readonly string[],
): string[] {
  const findings = comparisons.flatMap(({ stage, run, rows }) => {
    const found = headlineRows(run, rows).map((row) => finding(row, variants));
    return found.length > 0 ? [`After ${stage}, ${joined(found)}.`] : [];
  });
  if (findings.length === 0) return missing(nodes);
  const seeds = seedCounts(comparisons);
  return seeds.most === 1
    ? [oneSeed(variants), ...findings, ...missing(nodes)]
    : [...findings, deviation(seeds), ...missing(nodes)];
}

function headlineRows(run: string, rows: readonly MetricRow[]): MetricRow[] {
  const names = Object.hasOwn(headlines, run) ? headlines[run]! : otherHeadlines;
  const isNamed = (key: string, name: string) => key === name || metricName(key) === name;
  return names
    .flatMap(
      (name) => rows.find(({ key, cells, judgedApart }) => isNamed(key, name) && cells.size > 0 && !judgedApart) ?? [],
    )
    .slice(0, 2);
}

/** What is to be said about one metric; `leader` is the start of the sentence where a variant is ahead. */
interface Finding {
  leader?: string;
  text: string;
}

function finding(row: MetricRow, variants: readonly string[]): Finding {
  const { key, cells } = row;
  const kind = metricKind(key);
  const subject = subjectLabel(key);
  const name = `${kind.label}${subject ? ` (${subject})` : ''}`;
  const sign = kind.better === 'lower' ? 1 : -1;
  const present = variants.flatMap((variant) => {
    const cell = cells.get(variant);
    return cell
      ? [
          {
            variant,
            mean: cell.mean,
            text: formatSpread(cell.mean, cell.deviation, kind),
            printed: formatMetric(cell.mean, kind),
          },
        ]
      : [];
  });
  const failed = present.filter(({ mean }) => !Number.isFinite(mean));
  if (failed.length > 0) {
    return {
      text: `${name} is ${listed(failed.map(({ variant, text }) => `${text} for ${variant}`))} and cannot be compared`,
    };
  }
  const isAlike = present.every(({ printed }) => printed === present[0]!.printed);
  if (!canBeJudged(row) && present.length > 1 && !isAlike) {
    return { text: `${name} is ${listed(present.map(({ variant, text }) => `${text} for ${variant}`))}` };
  }
  const [best, ...rest] = present.sort((a, b) => sign * (a.mean - b.mean));
  if (!best || rest.length === 0) return { text: `${name} is ${best?.text ?? 'unknown'}` };
  const leaders = present.filter(({ printed }) => printed === best.printed);
  const followers = present.slice(leaders.length);
  const leader = listed(leaders.map(({ variant }) => variant));
  if (followers.length === 0) return { text: `${name} is ${best.text} for ${leader} alike` };
  const against = listed(followers.map((other) => `${other.text} for ${other.variant}`));
  return {
    leader: `${leader} ${leaders.length > 1 ? 'are' : 'is'} ahead`,
    text: `on ${name}, ${best.text} against ${against}`,
  };
}

/** Findings in one sentence; the leader is named once where it stays the same. */
function joined(findings: readonly Finding[]): string {
  return findings
    .map(({ leader, text }, i) => {
      const before = findings[i - 1];
      const link = i === 0 ? '' : leader && before?.leader === leader ? ', and ' : '; ';
      if (!leader) return link + text;
      return before?.leader === leader ? link + text : `${link}${leader} ${text}`;
    })
    .join('');
}

function seedCounts(comparisons: readonly StageComparison[]): { fewest: number; most: number } {
  const counts = comparisons.flatMap(({ rows }) =>
    rows.flatMap(({ cells }) => [...cells.values()].map(({ bySeed }) => bySeed.size)),
  );
  return { fewest: counts.reduce((a, b) => Math.min(a, b)), most: counts.reduce((a, b) => Math.max(a, b)) };
}

function oneSeed(variants: readonly string[]): string {
  return variants.length > 1
    ? 'One seed: no statement about which variant is better. Another seed may reverse any difference.'
    : 'One seed: another may give different values.';
}

function deviation({ fewest, most }: { fewest: number; most: number }): string {
  const seeds = fewest === most ? `${most} seeds` : `${fewest} to ${most} seeds`;
  return `Values are means over ${seeds} ± the standard deviation over the seeds, which is not a confidence interval.`;
}

function missing(nodes: readonly RecordedNode[]): string[] {
  return (['failed', 'broken off', 'stopped', 'running', 'not run'] as const).flatMap((status) => {
    const ids = nodes.filter((node) => node.status === status).map(({ id }) => id);
    return ids.length > 0 ? [`${status[0]!.toUpperCase()}${status.slice(1)}: ${listed(ids)}.`] : [];
  });
}

function listed(items: readonly string[]): string {
  return items.length < 2 ? items.join('') : `${items.slice(0, -1).join(', ')} and ${items.at(-1)}`;
}
