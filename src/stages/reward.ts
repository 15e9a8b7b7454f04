import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { saveModel } from '../checkpoint/load-model.ts';
import { paddingIdOf } from '../checkpoint/padding-token.ts';
import { loadRewardModel, rewardModelFrom } from '../checkpoint/reward-model.ts';
import { conversationOptions, rowLimit } from '../data/conversation-options.ts';
import { loadConversationTokenizer } from '../data/conversation-tokenizer.ts';
import { openSplits } from '../data/dataset.ts';
import { checkSequences, type EncodedPair } from '../data/encode.ts';
import { describePreflight, encodePairs } from '../data/preflight.ts';
import { RunError } from '../errors.ts';
import type { Metrics } from '../evaluation/metrics.ts';
import {
  learntLengthWarning,
  lengthWarning,
  type RewardedPair,
  reliability,
  rewardMeasureNames,
  rewardMeasures,
} from '../evaluation/reward.ts';
import { type Model, releaseModel } from '../model/model.ts';
import type { Backend } from '../tensor/backends/backend.ts';
import { spend } from '../training/budget.ts';
import { nextMicroBatches } from '../training/language-model.ts';
import { trainingMemory } from '../training/memory.ts';
import { update } from '../training/optimizer.ts';
import { totalStepsOf, trainingOptions } from '../training/options.ts';
import { type Comparison, comparisonsOf, rewardScores, rewardStep, scoredText } from '../training/reward.ts';
import {
  loadTrainingState,
  newTrainingState,
  releaseTrainingState,
  saveTrainingState,
  type TrainingState,
} from '../training/state.ts';
import { largestBatch } from '../training/upcoming.ts';
import type { Stage, StepRecord } from './stage.ts';

const { sampleEvery: _, ...training } = trainingOptions({
  epochs: 1,
  batchSize: 8,
  lr: 1e-4,
  warmup: 0.1,
  weightDecay: 0,
});

export const rewardSchema = z.strictObject({
  from: z.string().describe('language model whose decoder is trained further: a stage or a Hugging Face directory'),
  data: z.string().describe('preference pairs; pairs with the same prompt stay in one batch'),
  margin: z.number().nonnegative().default(0).describe('margin by which the preferred answer should score higher'),
  centring: z
    .number()
    .nonnegative()
    .default(0)
    .describe('weight of (sum of both scores)², which keeps scores near 0; usually 0.01'),
  ...conversationOptions,
  ...training,
});

export type RewardConfig = z.infer<typeof rewardSchema>;

export interface RewardState extends TrainingState {
  comparisons: readonly Comparison[];
  heldOut: readonly EncodedPair[];
}

/** The largest number of preferred answers used for the offset, which makes their mean reward 0. */
const referenceAnswers = 1024;

/** A reward model: Bradley–Terry loss on the scores of the last tokens (Ouyang et al. 2022, eq. 1). */
export async function* reward(config: RewardConfig, state: RewardState): AsyncGenerator<StepRecord, { steps: number }> {
  const { optimizer, cursor, comparisons } = state;
  const totalSteps = totalStepsOf(config, comparisons.length);

  while (optimizer.step < totalSteps) {
    const microBatches = nextMicroBatches(cursor, comparisons, config);
    const { loss, metrics, tokens } = await rewardStep(optimizer, microBatches, config);
    const { learningRate, gradientNorm } = await update(optimizer, config, totalSteps);
    spendComparisons(state, microBatches.flat());
    yield { step: optimizer.step, totalSteps, loss, ...metrics, learningRate, gradientNorm, tokens };
  }
  return { steps: optimizer.step };
}

/** The score of a text's last token is learned from. */
function spendComparisons(state: RewardState, comparisons: readonly Comparison[]): void {
  const rows = comparisons
    .flatMap(({ texts }) => texts)
    .map((tokens) => {
      const trained = new Uint8Array(tokens.length);
      trained[tokens.length - 1] = 1;
      return { tokens, trained };
    });
  const pairs = comparisons.flatMap((comparison) => comparison.pairs.flatMap(({ better, worse }) => [better, worse]));
  spend(state, rows, [Int32Array.from(pairs)]);
}

export const rewardStage: Stage<RewardConfig, RewardState> = {
  name: 'reward',
  summary: 'train a reward model on preference pairs',
  schema: rewardSchema,
  isRandom: true,
  readsOnOpen: true,
  inputs: { from: { kind: 'model' } },
  result: 'reward model',
  datasets: { data: { use: 'preference' } },
  async open(config, run, from) {
    const start = run.inputs.from![0]!.directory;
    const tokenizer = await loadConversationTokenizer(start, run.log);
    paddingIdOf(tokenizer);
    const rows = await openSplits(config.data, 'preference', { ...run, holdOut: config.holdOut });
    const maxLength = await rowLimit(config.maxLength, start);
    const train = encodePairs(rows.train, tokenizer, { ...config, maxLength });
    const comparisons = comparisonsOf(train.pairs);
    run.log(`${config.data}: ${describePreflight(train.preflight)}; ${comparisons.length} prompts`);
    const warning = lengthWarning(train.pairs.map((pair) => ({ longerBy: longerBy(pair) })));
    if (warning) run.log(`${config.data}: ${warning}`);
    const heldOut = encodePairs(rows.heldOut.slice(0, config.evalRows), tokenizer, {
      maxLength,
      onTooLong: 'truncate',
    }).pairs;

    const data = { rows: comparisons.length, seed: run.seed, recompute: config.recompute, ranks: run.ranks };
    const training = from
      ? await loadTrainingState(from, run.backend, data, tokenizer)
      : newTrainingState(await rewardModelFrom(start, run.backend, run.seed), data, tokenizer);
    const sequences = [...train.pairs, ...heldOut].flatMap(({ chosen, rejected }) => [chosen, rejected]);
    checkSequences(sequences, tokenizer, training.optimizer.model.config);
    return { ...training, comparisons, heldOut };
  },
  outlook(config, { optimizer, cursor, comparisons }) {
    const steps = totalStepsOf(config, comparisons.length);
    const tokensOf = ({ texts }: Comparison) => texts.reduce((sum, { length }) => sum + length, 0);
    const tokens = largestBatch(cursor, comparisons, config, { steps, tokensOf });
    return { steps, ...trainingMemory(optimizer.model, { ...config, tokens }) };
  },
  run: reward,
  budget: ({ budget }) => budget,
  save: saveTrainingState,
  async finish(_config, { optimizer, tokenizer, comparisons, heldOut }, directory) {
    const { model } = optimizer;
    const references = comparisons.flatMap(preferredTexts).slice(0, referenceAnswers);
    const scores = await rewardScores({ model, offset: 0 }, references);
    const rewardOffset = -scores.reduce((total, score) => total + score, 0) / scores.length;
    await saveModel(directory, model, { tokenizer, rewardOffset });
    await assertSavedModelScores(directory, model.backend, references[0]!, scores[0]! + rewardOffset);
    if (heldOut.length === 0) return;
    const table = reliability(await rewardedPairs(model, heldOut));
    await writeFile(join(directory, 'reliability.json'), `${JSON.stringify(table, null, 2)}\n`);
  },
  async evaluate(_config, { optimizer, heldOut }, run): Promise<Metrics> {
    if (heldOut.length === 0) return {};
    const measures = rewardMeasures(await rewardedPairs(optimizer.model, heldOut));
    const warning = learntLengthWarning(measures);
    if (warning) run.log(warning);
    return measures;
  },
  heldOut: () => rewardMeasureNames,
  close: releaseTrainingState,
};

const longerBy = ({ chosen, rejected }: EncodedPair): number => scoredText(chosen).length - scoredText(rejected).length;

const preferredTexts = ({ texts, pairs }: Comparison): Int32Array[] =>
  [...new Set(pairs.map(({ better }) => better))].map((index) => texts[index]!);

async function rewardedPairs(model: Model, pairs: readonly EncodedPair[]): Promise<RewardedPair[]> {
  const scoresOf = (side: 'chosen' | 'rejected'): Promise<number[]> =>
    rewardScores(
      { model, offset: 0 },
      pairs.map((pair) => scoredText(pair[side])),
    );
  const [chosen, rejected] = [await scoresOf('chosen'), await scoresOf('rejected')];
  return pairs.map((pair, i) => ({ chosen: chosen[i]!, rejected: rejected[i]!, longerBy: longerBy(pair) }));
}

/** Opens the written model again and checks that it gives a text the same reward as the trained model. */
async function assertSavedModelScores(
  directory: string,
  backend: Backend,
  text: Int32Array,
  expected: number,
): Promise<void> {
  const saved = await loadRewardModel(directory, backend);
  const [found] = await rewardScores(saved, [text]);
  releaseModel(saved.model);
  if (found === expected) return;
  throw new RunError(`the saved reward model gives a text ${found}, the trained one ${expected}`, {
    hint: 'the files were damaged while they were written; run the command again, it goes on from the last saved state',
  });
}
