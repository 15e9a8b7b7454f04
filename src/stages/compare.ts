import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { parseTasks, type Task } from '../evaluation/tasks.ts';
import { type Measurement, measure, measurementOptions, taskSources } from './evaluate.ts';
import type { Stage, StageRun, StepRecord } from './stage.ts';

export const compareSchema = z.strictObject({
  of: z.array(z.string()).min(1).describe('models to compare: stages or Hugging Face directories'),
  ...measurementOptions,
});

export type CompareConfig = z.infer<typeof compareSchema>;

/** What was measured on the model of one stage, variant and seed: a row of `results.json`. */
export interface ComparisonRow extends Measurement {
  stage: string;
  variant?: string;
  seed?: number;
}

export interface CompareState {
  tasks: readonly Task[];
  rows: ComparisonRow[];
}

/** Measures the models of all stages, variants and seeds alike. */
export async function* compare(
  config: CompareConfig,
  state: CompareState,
  run: StageRun,
): AsyncGenerator<StepRecord, { models: number }> {
  const models = run.inputs.of!;
  for (const input of models) {
    const measurement = await measure(config, state.tasks, input, run);
    const { name: stage, variant, seed } = input;
    state.rows.push({
      stage,
      ...(variant === undefined ? {} : { variant }),
      ...(seed === undefined ? {} : { seed }),
      ...measurement,
    });
    yield { step: state.rows.length, totalSteps: models.length, ...measurement.metrics };
  }
  return { models: models.length };
}

export const compareStage: Stage<CompareConfig, CompareState> = {
  name: 'compare',
  summary: 'measure several models alike, for the report',
  schema: compareSchema,
  inputs: { of: { kind: 'model', many: true } },
  result: 'measurements',
  datasets: { text: { use: 'text', optional: true }, prompts: { use: 'prompt', optional: true } },
  sources: ({ tasks, text }) => taskSources(tasks, text),
  open: async ({ tasks, text }) => ({ tasks: parseTasks(tasks, text), rows: [] }),
  run: compare,
  finish: (_config, { rows }, directory) =>
    writeFile(join(directory, 'results.json'), `${JSON.stringify({ rows }, null, 2)}\n`),
};
