import { own } from '../config/own.ts';
import { metricKind, metricName, metricSubject } from '../evaluation/metrics.ts';
import type { PipelineFolder, RecordedNode } from '../runs/pipeline-folder.ts';
import type { ResultRow } from '../runs/results.ts';
import { type Cell, headlineRows, type MetricRow, withDifferences } from './differences.ts';
import { itemEvidence, itemScoresOf } from './item-evidence.ts';

export interface StageComparison {
  stage: string;
  /** What kind of stage it is. */
  run: string;
  /** It is there once for all variants, so that there is nothing to compare. */
  isShared: boolean;
  /** Key of the metric that decides, where one can be compared. */
  primary?: string;
  /** What the pipeline has named as that metric. */
  named?: string;
  rows: MetricRow[];
}

/** Variants in the order of the plan; a pipeline without variants has one, named `shared`. */
export function variantsOf({ nodes }: PipelineFolder): string[] {
  const named = [
    ...new Set(nodes.flatMap(({ variant }) => (variant === undefined || variant === 'shared' ? [] : [variant]))),
  ];
  return named.length > 0 ? named : ['shared'];
}

/**
 * Metric × variant for each stage, in the order of the plan: what the compare and evaluate stages measured on it, then
 * what the stage itself, once finished, measured last on its held-out data (keys `held out/…`). What a stage without
 * variants measured counts for every variant.
 */
export function compareStages(folder: PipelineFolder): StageComparison[] {
  const variants = variantsOf(folder);
  const comparisons: StageComparison[] = [];
  for (const stage of new Set(folder.nodes.map((node) => node.stage))) {
    const nodes = folder.nodes.filter((node) => node.stage === stage);
    const own = nodes.filter(({ status }) => status === 'finished').map(ownResult);
    const measured = folder.results.filter((row) => row.stage === stage);
    const metrics = metricRows([...measured, ...own], variants);
    const apart = metrics.map((row) => ({
      ...row,
      judgedApart: variants.length > 1 && isJudgedApart(row.key, nodes, folder.nodes),
    }));
    if (apart.length === 0) continue;
    const run = nodes[0]?.run ?? stage;
    const isShared = variants.length > 1 && nodes.every(({ variant = 'shared' }) => variant === 'shared');
    const named = measured.find((row) => row.primary !== undefined)?.primary;
    const primary = headlineRows(run, apart, named)[0]?.key;
    const scoresOf = itemScoresOf(stage, folder.items);
    const rows = withDifferences(apart, isShared ? [] : variants, primary, (key, variant) =>
      itemEvidence(scoresOf(key, variants[0]!), scoresOf(key, variant)),
    );
    comparisons.push({
      ...{ stage, run, isShared, rows },
      ...(primary !== undefined && { primary }),
      ...(named !== undefined && { named }),
    });
  }
  return comparisons;
}

/** What a stage measures of itself is by what its nodes read; the rest is by what the stages read that measure. */
export function isJudgedApart(key: string, ofStage: readonly RecordedNode[], all: readonly RecordedNode[]): boolean {
  const { judge } = metricKind(key);
  if (judge !== 'reward model') return judge === 'itself';
  const readers = key.startsWith('held out/')
    ? ofStage
    : all.filter(({ run }) => run === 'compare' || run === 'evaluate');
  const read = new Set(readers.flatMap(({ inputs }) => inputs));
  const rewardModels = all.filter(({ id, run }) => run === 'reward' && read.has(id));
  return new Set(rewardModels.map(({ variant }) => variant)).size > 1;
}

function ownResult(node: RecordedNode): ResultRow {
  const { step: _step, seconds: _seconds, ...last } = node.evaluations.at(-1) ?? {};
  const metrics = Object.entries(last).map(([name, value]) => [`held out/${name}`, value]);
  return { ...node, metrics: Object.fromEntries(metrics), samples: [] };
}

/** What says nothing that the perplexity of the same tokens does not. */
const sameAsPerplexity = new Set(['loss', 'wordPerplexity', 'bytePerplexity', 'bitsPerByte']);

/** Counts of tokens are no result. */
function isShown(key: string, keys: ReadonlySet<string>): boolean {
  const name = metricName(key);
  return name !== 'tokens' && !(sameAsPerplexity.has(name) && keys.has(`${metricSubject(key)}/perplexity`));
}

function metricRows(results: readonly ResultRow[], variants: readonly string[]): Pick<MetricRow, 'key' | 'cells'>[] {
  const keys = new Set(results.flatMap((row) => Object.keys(row.metrics)));
  const shown = [...keys].filter((key) => isShown(key, keys));
  return shown.map((key) => {
    const cells = new Map<string, Cell>();
    for (const variant of variants) {
      const bySeed = new Map<number, number>();
      for (const row of results) {
        const value = own(row.metrics, key);
        const counts = row.variant === undefined || row.variant === 'shared' || row.variant === variant;
        if (value !== undefined && counts) bySeed.set(row.seed ?? 0, value);
      }
      if (bySeed.size > 0) cells.set(variant, { bySeed, ...spread([...bySeed.values()]) });
    }
    return { key, cells };
  });
}

/** Mean and sample standard deviation (n − 1). */
export function spread(values: readonly number[]): { mean: number; deviation?: number } {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  if (values.length < 2) return { mean };
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { mean, deviation: Math.sqrt(squares / (values.length - 1)) };
}
