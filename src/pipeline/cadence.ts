import { z } from 'zod';
import { metricKind } from '../evaluation/metrics.ts';
import type { NodeProgress } from '../runs/progress.ts';

/** The keys of a stage's config that determine what the runner does between steps. */
export const cadenceSchema = z.object({
  evalEvery: z.int().min(0).default(0),
  sampleEvery: z.int().min(0).default(0),
  saveEvery: z.int().min(0).default(0),
  best: z.string().optional(),
  patience: z.int().min(0).optional(),
});

export type Cadence = z.infer<typeof cadenceSchema>;

export function isDue(every: number, step: number): boolean {
  return every > 0 && step % every === 0;
}

/**
 * The progress after an evaluation in which the `best` metric was `value`. Values that are not finite are never the
 * best.
 */
export function withEvaluation(progress: NodeProgress, metric: string, value: number): NodeProgress {
  const { best } = progress;
  const isBetter =
    best === undefined || (metricKind(metric).better === 'lower' ? value < best.value : value > best.value);
  if (isBetter && Number.isFinite(value)) {
    return { ...progress, best: { value, step: progress.step }, evaluationsSinceBest: 0 };
  }
  return { ...progress, evaluationsSinceBest: progress.evaluationsSinceBest + 1 };
}
