import { z } from 'zod';
import { metricKind } from '../report/metric.ts';

const count = z.int().nonnegative();

/** What the runner itself must remember over a stop, beside the stage's own state. */
export const progressSchema = z
  .strictObject({
    /** Steps that are done. */
    step: count,
    /** Steps in the whole stage, where known. */
    totalSteps: count.optional(),
    /** Pauses passed inside the next step, and its working time so far. */
    pauses: count.default(0),
    pausedSeconds: z.number().nonnegative().default(0),
    /** Working time so far. */
    seconds: z.number().nonnegative(),
    /** False where a stop came between a step and the evaluation or samples that were due after it. */
    measured: z.boolean(),
    /** The best evaluation so far. */
    best: z.strictObject({ value: z.number(), step: count }).optional(),
    /** Evaluations since the best one. */
    evaluationsSinceBest: count,
  })
  .refine(({ step, totalSteps = step }) => step <= totalSteps, { path: ['step'], error: 'is after the last step' })
  .refine(({ step, best }) => !best || best.step <= step, { path: ['best', 'step'], error: 'is yet to come' });

export type NodeProgress = z.infer<typeof progressSchema>;

export const noProgress: NodeProgress = {
  step: 0,
  pauses: 0,
  pausedSeconds: 0,
  seconds: 0,
  measured: true,
  evaluationsSinceBest: 0,
};

/** What the runner does between steps, taken from the keys of the stage's config that say so. */
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
 * The progress after an evaluation whose value of the `best` metric is `value`; what is not finite is never the best.
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
