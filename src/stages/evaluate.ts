import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { loadModel } from '../checkpoint/load-model.ts';
import { checkTokenIds } from '../data/encode.ts';
import { answerPrompts } from '../evaluation/exact-match.ts';
import { heldOutRows, parseTasks, runTasks, type Task, taskKinds } from '../evaluation/tasks.ts';
import { releaseModel } from '../model/model.ts';
import { loadTokenizer } from '../tokenizer/open.ts';
import type { DatasetSource, Metrics, Sample, Stage, StageInput, StageRun, StepRecord } from './stage.ts';

/** What `evaluate` and `compare` can be told about measuring. */
export const measurementOptions = {
  tasks: z
    .array(z.string())
    .min(1)
    .default(['perplexity'])
    .describe('perplexity, or KIND:DATASET with perplexity, loss, choice, exactMatch, preference, or a town dataset'),
  text: z.string().optional().describe('text of the task perplexity'),
  holdOut: z
    .number()
    .min(0)
    .lt(1)
    .default(0)
    .describe('share of each text, instruction and preference file that training held out; 0 = use all of it'),
  window: z.int().min(2).default(256).describe('tokens in a window of the perplexity'),
  windows: z.int().positive().optional().describe('windows of the perplexity, at most'),
  maxLength: z.int().min(2).default(1024).describe('tokens of a conversation or pair; longer ones are cut'),
  rows: z.int().positive().default(400).describe('rows of each other task, at most'),
  maxNewTokens: z.int().positive().default(32).describe('tokens of a generated answer, at most'),
  format: z
    .enum(['chat', 'plain'])
    .default('chat')
    .describe('how choices are asked: chat template, or Question/Answer'),
  prompts: z.string().optional().describe('prompts whose answers are shown as samples'),
  samples: z.int().positive().default(6).describe('samples shown'),
};

export const evaluateSchema = z.strictObject({
  from: z.string().describe('model: a stage or a Hugging Face directory'),
  ...measurementOptions,
});

export type EvaluateConfig = z.infer<typeof evaluateSchema>;

/** What was measured on one model. */
export interface Measurement {
  metrics: Metrics;
  samples: Sample[];
}

export interface EvaluateState {
  tasks: readonly Task[];
  measurement?: Measurement;
}

/** Measures one model on held-out data. */
export async function* evaluate(
  config: EvaluateConfig,
  state: EvaluateState,
  run: StageRun,
): AsyncGenerator<StepRecord, { metrics: Metrics }> {
  state.measurement = await measure(config, state.tasks, run.inputs.from![0]!, run);
  yield { step: 1, totalSteps: 1, ...state.measurement.metrics };
  return { metrics: state.measurement.metrics };
}

export const evaluateStage: Stage<EvaluateConfig, EvaluateState> = {
  name: 'evaluate',
  summary: 'measure a model: perplexity, loss, multiple choice, exact answers, preferences',
  schema: evaluateSchema,
  inputs: { from: { kind: 'model' } },
  result: 'measurements',
  datasets: { text: { use: 'text', optional: true }, prompts: { use: 'prompt', optional: true } },
  sources: ({ tasks, text }) => taskSources(tasks, text),
  open: async ({ tasks, text }) => ({ tasks: parseTasks(tasks, text) }),
  run: evaluate,
  finish: (_config, { measurement }, directory) =>
    writeFile(join(directory, 'results.json'), `${JSON.stringify(measurement, null, 2)}\n`),
};

/** The datasets that tasks are measured on. */
export function taskSources(tasks: readonly string[], text: string | undefined): DatasetSource[] {
  return parseTasks(tasks, text).map(({ kind, source }) => ({ key: 'tasks', source, use: taskKinds[kind].use }));
}

/** Loads the model of an input, runs the tasks on it, and lets it answer the sample prompts. */
export async function measure(
  config: Omit<EvaluateConfig, 'from'>,
  tasks: readonly Task[],
  input: StageInput,
  { backend, baseDirectory, log }: StageRun,
): Promise<Measurement> {
  const options = { ...config, baseDirectory };
  const tokenizer = await loadTokenizer(input.directory);
  const { model, inferred } = await loadModel(input.directory, backend);
  for (const sentence of inferred) log(`${input.name}: ${sentence}`);
  checkTokenIds([], tokenizer, model.config.vocabSize);
  try {
    const metrics = await runTasks(model, tokenizer, tasks, options);
    const prompts = config.prompts
      ? await heldOutRows(config.prompts, 'prompt', { ...options, rows: config.samples })
      : [];
    return { metrics, samples: await answerPrompts(model, tokenizer, prompts, config) };
  } finally {
    releaseModel(model);
  }
}
