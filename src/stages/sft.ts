import { z } from 'zod';
import { loadModel, saveModel } from '../checkpoint/load-model.ts';
import type { Sequence } from '../data/batch.ts';
import { conversationOptions, rowLimit } from '../data/conversation-options.ts';
import { loadConversationTokenizer } from '../data/conversation-tokenizer.ts';
import { openSplits } from '../data/dataset.ts';
import { checkSequences } from '../data/encode.ts';
import { describePreflight, encodeConversations } from '../data/preflight.ts';
import type { MessagesRow, PromptRow } from '../data/rows.ts';
import { answerPrompts } from '../evaluation/exact-match.ts';
import type { Metrics } from '../evaluation/metrics.ts';
import { sampleCount } from '../evaluation/samples.ts';
import { spend } from '../training/budget.ts';
import { languageModelLoss, meanLoss, nextMicroBatches } from '../training/language-model.ts';
import { trainingMemory } from '../training/memory.ts';
import { update } from '../training/optimizer.ts';
import { totalStepsOf, trainingOptions } from '../training/options.ts';
import { unigramEntropy } from '../training/stability.ts';
import {
  loadTrainingState,
  newTrainingState,
  releaseTrainingState,
  saveTrainingState,
  type TrainingState,
} from '../training/state.ts';
import { largestBatch } from '../training/upcoming.ts';
import type { Stage, StepRecord } from './stage.ts';

export const sftSchema = z.strictObject({
  from: z.string().describe('model to fine-tune: a stage or a Hugging Face directory'),
  data: z.string().describe('instructions or conversations'),
  ...conversationOptions,
  ...trainingOptions({ epochs: 1, batchSize: 16, lr: 1e-4, warmup: 0.1, weightDecay: 0 }),
});

export type SftConfig = z.infer<typeof sftSchema>;

export interface SftState extends TrainingState {
  rows: readonly Sequence[];
  heldOut: readonly Sequence[];
  /** Held-out conversations up to their last answer. */
  prompts: readonly PromptRow[];
}

/** Supervised fine-tuning: cross-entropy of the assistant's turns and the tokens that end them. */
export async function* sft(
  config: SftConfig,
  state: SftState,
): AsyncGenerator<StepRecord, { steps: number; rows: number }> {
  const { optimizer, cursor, rows } = state;
  const totalSteps = totalStepsOf(config, rows.length);

  while (optimizer.step < totalSteps) {
    const microBatches = nextMicroBatches(cursor, rows, config);
    const { loss, tokens, trainedTokens } = await languageModelLoss(optimizer, microBatches);
    const { learningRate, gradientNorm } = await update(optimizer, config, totalSteps);
    spend(state, microBatches.flat());
    yield { step: optimizer.step, totalSteps, loss, learningRate, gradientNorm, tokens, trainedTokens };
  }
  return { steps: optimizer.step, rows: rows.length };
}

export const sftStage: Stage<SftConfig, SftState> = {
  name: 'sft',
  summary: 'fine-tune a model on instructions or conversations',
  schema: sftSchema,
  isRandom: true,
  readsOnOpen: true,
  inputs: { from: { kind: 'model' } },
  result: 'model',
  datasets: { data: { use: 'messages' } },
  async open(config, run, from) {
    const start = run.inputs.from![0]!.directory;
    const tokenizer = await loadConversationTokenizer(start, run.log);
    const rows = await openSplits(config.data, 'messages', { ...run, holdOut: config.holdOut });
    const maxLength = await rowLimit(config.maxLength, start);
    const train = encodeConversations(rows.train, tokenizer, { ...config, maxLength });
    run.log(`${config.data}: ${describePreflight(train.preflight)}`);
    const heldOut = encodeConversations(rows.heldOut, tokenizer, { maxLength, onTooLong: 'truncate' }).sequences;

    const data = { rows: train.sequences.length, seed: run.seed, recompute: config.recompute, ranks: run.ranks };
    const training = from
      ? await loadTrainingState(from, run.backend, data, tokenizer)
      : newTrainingState((await loadModel(start, run.backend)).model, data, tokenizer);
    checkSequences([...train.sequences, ...heldOut], tokenizer, training.optimizer.model.config);
    return { ...training, rows: train.sequences, heldOut, prompts: rows.heldOut.map(lastQuestion) };
  },
  outlook(config, { optimizer, cursor, rows }) {
    const steps = totalStepsOf(config, rows.length);
    const tokens = largestBatch(cursor, rows, config, { steps, tokensOf: (row) => row.tokens.length });
    const memory = trainingMemory(optimizer.model, { ...config, tokens });
    return { steps, ...memory, unigramEntropy: unigramEntropy(rows) };
  },
  run: sft,
  budget: ({ budget }) => budget,
  save: saveTrainingState,
  finish: (_config, { optimizer, tokenizer }, directory) => saveModel(directory, optimizer.model, { tokenizer }),
  async evaluate({ evalRows }, { optimizer, heldOut }): Promise<Metrics> {
    if (heldOut.length === 0) return {};
    const { loss } = await meanLoss(optimizer.model, heldOut.slice(0, evalRows));
    return { loss, perplexity: Math.exp(loss) };
  },
  heldOut: () => ['loss', 'perplexity'],
  sample: (_config, { optimizer, tokenizer, prompts }) =>
    answerPrompts(optimizer.model, tokenizer, prompts.slice(0, sampleCount), { maxNewTokens: 48 }),
  close: releaseTrainingState,
};

/** The conversation before its last trained answer, and that answer. */
function lastQuestion({ messages }: MessagesRow): PromptRow {
  const answer = messages.findLastIndex(({ role, trained }) => role === 'assistant' && trained !== false);
  return { prompt: messages.slice(0, answer), answer: messages[answer]!.content };
}
