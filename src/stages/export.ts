import { constants, copyFile, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { readModelDirectory, writeModelDirectory } from '../checkpoint/model-directory.ts';
import { placements } from '../model/placements/index.ts';
import { loadTokenizer } from '../tokenizer/open.ts';
import type { Stage, StepRecord } from './stage.ts';

export const exportSchema = z.strictObject({
  from: z.string().describe('model: a stage or a Hugging Face directory'),
  dtype: z.enum(['f32', 'bf16', 'f16']).default('bf16').describe('number format of the written weights'),
  norm: z
    .enum(placements.map(({ name }) => name))
    .optional()
    .describe('norm placement of a model whose files do not say which it is'),
});

export type ExportConfig = z.infer<typeof exportSchema>;

export interface ExportState {
  source: string;
}

/** Writes a model as a Hugging Face directory with weights in another number format. */
export async function* exportModel(config: ExportConfig): AsyncGenerator<StepRecord, { dtype: string }> {
  yield { step: 1, totalSteps: 1 };
  return { dtype: config.dtype };
}

export const exportStage: Stage<ExportConfig, ExportState> = {
  name: 'export',
  summary: 'write a model as a Hugging Face directory in f32, bf16 or f16',
  schema: exportSchema,
  isRandom: false,
  readsOnOpen: false,
  inputs: { from: { kind: 'model', placement: 'norm' } },
  result: 'model',
  datasets: {},
  open: async (_config, { inputs }) => ({ source: inputs.from![0]!.directory }),
  run: exportModel,
  async finish({ dtype, norm }, { source }, directory) {
    const { config, extra, read } = await readModelDirectory(source, { norm, certain: true });
    const tokenizer = await loadTokenizer(source);
    const { generationConfig } = tokenizer;
    await writeModelDirectory(directory, { ...extra, config, read, dtype, tokenizer, generationConfig });
    await copyTerms(source, directory);
  },
};

/**
 * Files with the terms of a model, which go wherever the model goes. Other unread files, such as its card, are not
 * copied.
 */
const terms = /^(licen[cs]e|notice|use_policy)(\.(md|txt|pdf|html))?$/i;

async function copyTerms(source: string, directory: string): Promise<void> {
  for (const name of (await readdir(source)).filter((candidate) => terms.test(candidate))) {
    const path = join(source, name);
    if ((await stat(path)).isFile()) await copyFile(path, join(directory, name), constants.COPYFILE_EXCL);
  }
}
