import { z } from 'zod';
import { analyze, type DepthAnalysis } from '../analysis/analyze.ts';
import { sequencesOfText } from '../analysis/sequences.ts';
import { requireSameTensors } from '../analysis/updates.ts';
import { loadModel } from '../checkpoint/load-model.ts';
import { readModelDirectory } from '../checkpoint/model-directory.ts';
import type { Sequence } from '../data/batch.ts';
import { type Model, releaseModel } from '../model/model.ts';
import { writeResults } from '../runs/results.ts';
import { loadTokenizer } from '../tokenizer/open.ts';
import type { Stage, StepRecord } from './stage.ts';

/** The keys that determine how much of a text is analysed. */
export const windowSchema = z.strictObject({
  holdOut: z
    .number()
    .min(0)
    .lt(1)
    .default(0)
    .describe('share of the text that training held out; only this is read; 0 = use all of it'),
  window: z
    .int()
    .positive()
    .optional()
    .describe("tokens per window; by default 256, or the model's context if that is shorter"),
  windows: z.int().positive().default(32).describe('most windows, from the beginning'),
});

export const analyzeSchema = z.strictObject({
  from: z.string().describe('model: a stage or a Hugging Face directory'),
  text: z.string().describe('text to read'),
  base: z
    .string()
    .optional()
    .describe('model whose weights are compared, such as the one that `from` was trained from'),
  ...windowSchema.shape,
});

export type AnalyzeConfig = z.infer<typeof analyzeSchema>;

export interface AnalyzeState {
  model: Model;
  base: Model | undefined;
  sequences: readonly Sequence[];
  found?: DepthAnalysis;
}

/** Measures how a model uses its depth. */
export async function* analyzeDepth(
  _config: AnalyzeConfig,
  state: AnalyzeState,
): AsyncGenerator<StepRecord, { tokens: number }> {
  state.found = await analyze(state.model, state.sequences, { base: state.base });
  yield { step: 1, totalSteps: 1, loss: state.found.loss };
  return { tokens: state.found.tokens };
}

export const analyzeStage: Stage<AnalyzeConfig, AnalyzeState> = {
  name: 'analyze',
  summary: 'show how a model uses its depth, layer by layer',
  schema: analyzeSchema,
  isRandom: false,
  readsOnOpen: true,
  inputs: { from: { kind: 'model' }, base: { kind: 'model', optional: true } },
  result: 'measurements',
  datasets: { text: { use: 'text' } },
  async open({ text, from: _, base: __, ...windows }, { inputs, backend, ...run }) {
    const { directory } = inputs.from![0]!;
    const { config } = await readModelDirectory(directory);
    const [base] = inputs.base ?? [];
    if (base) requireSameTensors(config, (await readModelDirectory(base.directory)).config, 'base');
    const sequences = await sequencesOfText(text, await loadTokenizer(directory), config, { ...windows, ...run });
    const load = async (from: string) => (await loadModel(from, backend)).model;
    return { model: await load(directory), base: base && (await load(base.directory)), sequences };
  },
  run: analyzeDepth,
  finish: (_config, { found }, directory) =>
    writeResults(directory, { metrics: {}, samples: [], analysis: { ...found } }),
  close({ model, base }) {
    releaseModel(model);
    if (base) releaseModel(base);
  },
};
