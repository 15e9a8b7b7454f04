import { metricKind, metricName } from '../evaluation/metrics.ts';
import { holm } from '../statistics/holm.ts';
import { type PairedDifference, pairedDifference } from '../statistics/paired-difference.ts';
import type { ItemEvidence } from './item-evidence.ts';

/** A metric of one variant over its seeds. */
export interface Cell {
  /** By seed; a seed that was not run is absent. */
  bySeed: ReadonlyMap<number, number>;
  mean: number;
  /** Sample standard deviation over the seeds; absent for one seed. */
  deviation?: number;
}

/** A variant against the first one, over the seeds that both have. */
export interface Difference extends PairedDifference {
  /** `mean` in units of the reference, where both are positive and the metric is not a share. */
  relative?: number;
  /** In how many seeds this variant is the better one. */
  seedsBetter: number;
  /** What the items show, where the metric is a mean over items that were written down. */
  items?: ItemEvidence;
  /**
   * What the seeds show at 5 %; nothing where the metric has no direction or each variant has a judge of its own. The
   * primary metric of a stage is tested by itself, all others of the stage together (Holm).
   */
  shown?: 'better' | 'worse';
}

export interface MetricRow {
  key: string;
  /** Each variant is on the scale of a model of its own, so that their values cannot be compared. */
  judgedApart: boolean;
  cells: ReadonlyMap<string, Cell>;
  /** By variant, of all but the first. */
  differences: ReadonlyMap<string, Difference>;
}

export type Undecided = Omit<MetricRow, 'differences'>;

/** Adds the differences from the first variant, and what the seeds show of them. */
export function withDifferences(
  rows: readonly Undecided[],
  variants: readonly string[],
  primary: string | undefined,
  itemsOf: (key: string, variant: string) => ItemEvidence | undefined,
): MetricRow[] {
  const [reference, ...others] = variants;
  const differences = rows.map(({ key, cells }) => {
    const first = cells.get(reference!);
    const found = others.flatMap((variant) => {
      const cell = cells.get(variant);
      if (!first || !cell) return [];
      const items = itemsOf(key, variant);
      return [[variant, { ...difference(key, first, cell), ...(items && { items }) }] as const];
    });
    return new Map<string, Difference>(found);
  });
  const tests = rows.flatMap((row, i) =>
    row.judgedApart || !metricKind(row.key).better ? [] : [...differences[i]!.values()].map((of) => ({ row, of })),
  );
  const isPrimary = ({ row }: { row: Undecided }): boolean => row.key === primary;
  for (const family of [tests.filter(isPrimary), tests.filter((test) => !isPrimary(test))]) {
    const able = family.filter(({ of }) => of.p !== undefined);
    const adjusted = holm(able.map(({ of }) => of.p!));
    for (const [i, { row, of }] of able.entries()) {
      const isHigher = of.mean > 0;
      if (adjusted[i]! < 0.05) of.shown = isHigher === (metricKind(row.key).better === 'higher') ? 'better' : 'worse';
    }
  }
  return rows.map((row, i) => ({ ...row, differences: differences[i]! }));
}

function difference(key: string, reference: Cell, cell: Cell): Difference {
  const { better, share } = metricKind(key);
  const found = pairedDifference(reference.bySeed, cell.bySeed);
  const shared = [...cell.bySeed].flatMap(([seed, value]) => {
    const other = reference.bySeed.get(seed);
    return other === undefined ? [] : [{ other, change: value - other }];
  });
  const base = shared.reduce((sum, { other }) => sum + other, 0) / shared.length;
  const comparable = Number.isFinite(found.mean) && !share && base > 0 && base + found.mean > 0;
  return {
    ...found,
    ...(comparable && { relative: found.mean / base }),
    seedsBetter: shared.filter(({ change }) => (better === 'higher' ? change > 0 : change < 0)).length,
  };
}

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
 * The two metrics of a stage that matter most, of those that can be compared. The first is the primary one: that which
 * the pipeline names, else the first of those that are usual for such a stage.
 */
export function headlineRows<Row extends Undecided>(run: string, rows: readonly Row[], named?: string): Row[] {
  const names = Object.hasOwn(headlines, run) ? headlines[run]! : otherHeadlines;
  const able = rows.filter(({ cells, judgedApart }) => cells.size > 0 && !judgedApart);
  const usual = names.flatMap((name) => able.find(({ key }) => key === name || metricName(key) === name) ?? []);
  const first = able.filter(({ key }) => key === named);
  return [...new Set([...first, ...usual])].slice(0, 2);
}
