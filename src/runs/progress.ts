import { z } from 'zod';

const count = z.int().nonnegative();

/** What the runner itself must remember when a run stops and resumes, in addition to the stage's own state. */
export const progressSchema = z
  .strictObject({
    /** Completed steps. */
    step: count,
    /** Steps of the whole stage, if known. */
    totalSteps: count.optional(),
    /** Pauses passed inside the next step. */
    pauses: count.default(0),
    /** Working time spent in the next step so far. */
    pausedSeconds: z.number().nonnegative().default(0),
    /** Working time so far. */
    seconds: z.number().nonnegative(),
    /** False if the run stopped after a step but before the evaluation or samples that were due after it. */
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
