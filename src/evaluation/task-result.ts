import type { Metrics } from './metrics.ts';

/** What a task found for one row, so that models can be compared row by row. */
export interface ItemResult {
  /** Index among the rows that were measured. */
  item: number;
  /** Whether the answer is right, where answers are right or wrong. */
  correct?: boolean;
  /** What the metric averages: 1 or 0 for a right or wrong answer, 1, ½ or 0 for a win, tie or loss, nats per token. */
  score?: number;
  /** Weight of the score in that average: the tokens of a text. 1 if left out. */
  weight?: number;
  /** log p in nats: of the right answer or the whole text; of a pair, of the preferred answer minus the other's. */
  logProb?: number;
}

export interface TaskResult {
  metrics: Metrics;
  /** Standard errors of metrics that are means over the items. */
  stderr?: Metrics;
  /** What a reader of the metrics has to know. */
  remark?: string | undefined;
  /** Name of the metric that averages the items. */
  metric: string;
  items: ItemResult[];
}

/**
 * Means of the scores of each metric, and their standard errors: the sample's standard deviation divided by √n, left
 * out for a single score.
 */
export function meansOf(scores: Readonly<Record<string, readonly number[]>>): { metrics: Metrics; stderr: Metrics } {
  const [metrics, stderr]: [Metrics, Metrics] = [{}, {}];
  for (const [name, values] of Object.entries(scores)) {
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    metrics[name] = mean;
    const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
    if (values.length > 1) stderr[name] = Math.sqrt(squares / (values.length - 1) / values.length);
  }
  return { metrics, stderr };
}

/** Items of right and wrong answers. */
export function answeredItems(correct: readonly boolean[], logProbs?: readonly number[]): ItemResult[] {
  return correct.map((correct, item) => ({
    item,
    correct,
    score: Number(correct),
    ...(logProbs && { logProb: logProbs[item]! }),
  }));
}

/** Items of texts whose log p is known, averaged over tokens. */
export function textItems(logProbs: readonly number[], tokens: readonly number[]): ItemResult[] {
  return logProbs.map((logProb, item) => ({ item, score: -logProb / tokens[item]!, weight: tokens[item]!, logProb }));
}
