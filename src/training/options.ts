import { z } from 'zod';
import { absent, given, heldOutRows, oneOf } from '../config/conditions.ts';
import { asAmount, asCount, asWarmup } from '../config/scaling.ts';
import { scheduleNames } from './schedule.ts';

/** The options of every training stage; `defaults` are those that differ from stage to stage. */
export function trainingOptions(defaults: {
  epochs?: number;
  batchSize: number;
  lr: number;
  warmup: number;
  weightDecay: number;
}) {
  const count = () => z.int().positive();
  return {
    steps: count().optional().describe('optimizer steps; an alternative to epochs').meta({ scaling: asCount }),
    epochs: (defaults.epochs === undefined
      ? z.number().positive().optional()
      : z.number().positive().default(defaults.epochs)
    )
      .describe('passes over the data')
      .meta({ condition: absent('steps'), scaling: asAmount }),
    batchSize: count().default(defaults.batchSize).describe('rows (windows, pairs or answers) per micro-batch'),
    accumulate: count().default(1).describe('micro-batches per optimizer step'),
    lr: z.number().positive().default(defaults.lr).describe('peak learning rate'),
    schedule: z.enum(scheduleNames).default('cosine').describe('learning rate after the warm-up'),
    warmup: z
      .number()
      .nonnegative()
      .default(defaults.warmup)
      .describe('warm-up steps; below 1: a fraction of all steps, rounded up')
      .meta({ scaling: asWarmup }),
    minLr: z
      .number()
      .min(0)
      .max(1)
      .default(0.1)
      .describe('fraction of the peak rate that the schedule decays to, reached one step after the last')
      .meta({ condition: oneOf('schedule', 'cosine', 'linear') }),
    weightDecay: z
      .number()
      .nonnegative()
      .default(defaults.weightDecay)
      .describe('decoupled weight decay, for matrices only'),
    beta1: z.number().min(0).lt(1).default(0.9).describe('decay of the first moment'),
    beta2: z.number().min(0).lt(1).default(0.95).describe('decay of the second moment'),
    epsilon: z.number().positive().default(1e-8).describe('added to the square root of the second moment'),
    recompute: z
      .boolean()
      .default(false)
      .describe('recompute layers in the backward pass: less memory for long sequences, but steps a third slower')
      .meta({ changesResult: false }),
    clip: z.number().nonnegative().default(1).describe('largest global gradient norm; 0 = no clipping'),
    evalEvery: count()
      .optional()
      .describe('steps between evaluations')
      .meta({ condition: heldOutRows, scaling: asCount }),
    evalRows: count().default(256).describe('maximum number of rows per evaluation').meta({ condition: heldOutRows }),
    sampleEvery: count()
      .optional()
      .describe('steps between samples')
      .meta({ condition: heldOutRows, changesResult: false, scaling: asCount }),
    saveEvery: count()
      .optional()
      .describe('steps between saved states')
      .meta({ changesResult: false, scaling: asCount }),
    best: z
      .string()
      .optional()
      .describe('held-out metric, such as loss, whose best state becomes the result')
      .meta({ condition: given('evalEvery') }),
    patience: count()
      .optional()
      .describe('stop after this many evaluations without a better `best`')
      .meta({ condition: given('best') }),
  };
}

export type TrainingOptions = z.infer<z.ZodObject<ReturnType<typeof trainingOptions>>>;

/** The options that an update uses. */
export type UpdateOptions = Pick<
  TrainingOptions,
  'lr' | 'schedule' | 'warmup' | 'minLr' | 'weightDecay' | 'beta1' | 'beta2' | 'epsilon' | 'clip'
>;

/** Optimiser steps of the whole stage, with `items` rows per epoch. */
export function totalStepsOf(
  options: Pick<TrainingOptions, 'steps' | 'epochs' | 'batchSize' | 'accumulate'>,
  items: number,
): number {
  if (options.steps !== undefined) return options.steps;
  return Math.ceil((options.epochs ?? 1) * Math.ceil(items / (options.batchSize * options.accumulate)));
}

/** Number of warm-up steps, computed as in transformers. */
export function warmupStepsOf({ warmup }: Pick<TrainingOptions, 'warmup'>, totalSteps: number): number {
  return warmup < 1 ? Math.ceil(warmup * totalSteps) : Math.floor(warmup);
}
