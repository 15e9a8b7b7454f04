import { z } from 'zod';
import { openDataset, sayReading } from '../data/dataset.ts';
import { type TrainedTokenizer, trainTokenizer } from '../tokenizer/train.ts';
import type { Stage, StageRun, StepRecord } from './stage.ts';

export const tokenizerSchema = z.strictObject({
  data: z.string().describe('text to train on'),
  holdOut: z
    .number()
    .min(0)
    .lt(1)
    .default(0)
    .describe('share of each text that later stages hold out; the tokenizer is not trained on it'),
  vocabSize: z
    .int()
    .positive()
    .default(32000)
    .describe('size of the vocabulary, including special tokens and the 256 bytes'),
});

export type TokenizerConfig = z.infer<typeof tokenizerSchema>;

export interface TokenizerState {
  texts: readonly string[];
  tokenizer?: TrainedTokenizer;
}

/** Byte-level byte-pair encoding (Sennrich et al. 2016) learned from the training text. */
export async function* tokenizer(
  config: TokenizerConfig,
  state: TokenizerState,
  run: StageRun,
): AsyncGenerator<StepRecord, { vocabSize: number; merges: number }> {
  state.tokenizer = trainTokenizer(state.texts, { vocabSize: config.vocabSize });
  const { vocabSize, requestedVocabSize, merges } = state.tokenizer;
  if (vocabSize < requestedVocabSize) {
    run.log(`the text has no more pairs to merge: ${vocabSize} tokens instead of ${requestedVocabSize}`);
  }
  yield { step: 1, totalSteps: 1, vocabSize };
  return { vocabSize, merges: merges.length };
}

export const tokenizerStage: Stage<TokenizerConfig, TokenizerState> = {
  name: 'tokenizer',
  summary: 'train a byte-level BPE tokenizer on text',
  schema: tokenizerSchema,
  isRandom: false,
  readsOnOpen: false,
  inputs: {},
  result: 'tokenizer',
  datasets: { data: { use: 'text' } },
  async open({ data, holdOut }, { baseDirectory, log }) {
    const dataset = await openDataset(data, 'text', { holdOut, baseDirectory });
    sayReading(dataset, log);
    return { texts: dataset.rows.map(({ text }) => text) };
  },
  run: tokenizer,
  finish: async (_config, state, directory) => state.tokenizer!.save(directory),
};
