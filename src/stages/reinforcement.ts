import { readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { z } from 'zod';
import { loadModel } from '../checkpoint/load-model.ts';
import { loadRewardModel, type RewardModel } from '../checkpoint/reward-model.ts';
import { openSplits } from '../data/dataset.ts';
import { checkTokenIds, encodePrompt } from '../data/encode.ts';
import type { PromptRow } from '../data/rows.ts';
import { type Problem, RequestError } from '../errors.ts';
import {
  checkAnswers,
  functionReward,
  loadRewardFunction,
  modelReward,
  type RewardSource,
  verifications,
  verifiedReward,
} from '../evaluation/reward-sources.ts';
import { klKinds } from '../losses/kl.ts';
import { type Model, releaseModel } from '../model/model.ts';
import { copyModel } from '../model/weights.ts';
import { loadTokenizer } from '../tokenizer/open.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import { totalStepsOf, trainingOptions } from '../training/options.ts';
import type { PromptTokens } from '../training/rollout.ts';
import { type Baseline, weightsChecksum } from '../training/rollout-checks.ts';
import {
  loadTrainingState,
  newTrainingState,
  releaseTrainingState,
  saveTrainingState,
  type TrainingState,
} from '../training/state.ts';
import type { StageRun } from './stage.ts';

const { accumulate, ...training } = trainingOptions({ epochs: 1, batchSize: 32, lr: 3e-6, warmup: 0, weightDecay: 0 });

/** What the stages that learn from their own responses (`ppo`, `rloo`, `grpo`) can be told. */
export const reinforcementOptions = {
  from: z.string().describe('policy and reference: a stage or a Hugging Face directory'),
  data: z.string().describe('prompts, with answers where they are verified'),
  reward: z.string().optional().describe('reward model: a stage or a Hugging Face directory'),
  rewardWeight: z.number().default(1).describe('what the rewards of the reward model are multiplied by'),
  verify: z
    .enum(['none', ...verifications])
    .default('none')
    .describe('reward 1 for the answer of the row: the same text, the same last number, or a regular expression'),
  verifyWeight: z.number().default(1).describe('what the rewards of verified answers are multiplied by'),
  rewardFunction: z
    .string()
    .optional()
    .describe('JavaScript file whose default export is (prompt, completion, answer) => number'),
  rewardFunctionWeight: z.number().default(1).describe('what the rewards of the function are multiplied by'),
  scoreClip: z.number().positive().optional().describe('largest absolute score, the sum of all rewards'),
  missingEosPenalty: z.number().nonnegative().default(1).describe('taken off the score of a response that is cut off'),
  temperature: z.number().positive().default(1).describe('of sampling, and of the log-probabilities that are trained'),
  minibatches: z.int().positive().default(1).describe('updates in a pass over the responses of an iteration'),
  maxNewTokens: z.int().positive().default(48).describe('tokens of a response, at most'),
  onTooLong: z
    .enum(['error', 'drop'])
    .default('error')
    .describe('what to do with prompts that leave no room for maxNewTokens in the context of the model'),
  maxKl: z.number().positive().default(50).describe('KL to the reference, in nats a response, that ends training'),
  holdOut: z.number().min(0).lt(1).default(0).describe('share of the rows, from the end, that is never trained on'),
  ...training,
  steps: training.steps.describe('iterations of sampling and updating; alternative to epochs'),
  epochs: training.epochs.describe('passes over the prompts; ignored when steps is given'),
  batchSize: training.batchSize.describe('prompts of an iteration'),
  evalEvery: training.evalEvery.describe('iterations between evaluations on held-out prompts'),
  sampleEvery: training.sampleEvery.describe('iterations between samples'),
  saveEvery: training.saveEvery.describe('iterations between saved states'),
};

export const klKind = z.enum(klKinds);

export type ReinforcementConfig = z.infer<z.ZodObject<typeof reinforcementOptions>>;

export interface ReinforcementState extends TrainingState {
  /** Frozen. */
  reference: Model;
  /** SHA-256 of the reference's weights as it was opened. */
  referenceChecksum: string;
  rewardModel: RewardModel | undefined;
  sources: readonly RewardSource[];
  rows: readonly PromptRow[];
  /** Of the rows that fit into the context. */
  prompts: readonly PromptTokens[];
  heldOut: readonly PromptRow[];
  /** What the first iteration was like. */
  baseline: Baseline | undefined;
  /** Causes of drift that were told already. */
  warned: Set<string>;
}

/** Iterations of the whole stage. */
export function iterationsOf(config: ReinforcementConfig, prompts: number): number {
  return totalStepsOf({ ...config, accumulate: 1 }, prompts);
}

/** Reads models, prompts and sources of rewards; everything that is wrong with them is a RequestError. */
export async function openReinforcement(
  config: ReinforcementConfig & { samplesPerPrompt: number },
  run: StageRun,
  from?: string,
): Promise<ReinforcementState> {
  checkMinibatches(config);
  const start = run.inputs.from![0]!.directory;
  const tokenizer = await loadTokenizer(start);
  const { train: rows, heldOut: everyHeldOut } = await openSplits(config.data, 'prompt', {
    ...run,
    holdOut: config.holdOut,
  });
  const rewardDirectory = run.inputs.reward?.[0]?.directory;
  if (rewardDirectory) await assertSameTokenizer(tokenizer, rewardDirectory);
  const rewardModel = rewardDirectory ? await loadRewardModel(rewardDirectory, run.backend) : undefined;
  const sources = await rewardSources(config, run, rewardModel, [...rows, ...everyHeldOut]);

  const { model: reference } = await loadModel(start, run.backend);
  const prompts = fittingPrompts(rows, tokenizer, reference, config);
  const heldOut = fittingPrompts(everyHeldOut, tokenizer, reference, config).map(({ row }) => everyHeldOut[row]!);
  if (prompts.length === 0) throw new RequestError({ where: config.data, message: 'no prompt fits into the context' });
  const dropped = rows.length + everyHeldOut.length - prompts.length - heldOut.length;
  const left = dropped > 0 ? `, ${dropped} too long and left out` : '';
  run.log(`${config.data}: ${prompts.length} prompts, ${heldOut.length} held out${left}`);

  const data = { rows: prompts.length, seed: run.seed };
  const state = from
    ? await loadTrainingState(from, run.backend, data, tokenizer)
    : newTrainingState(copyModel(reference), data, tokenizer);
  const referenceChecksum = await weightsChecksum(reference);
  const { baseline } = from ? JSON.parse(await readFile(join(from, baselineFile), 'utf8')) : { baseline: undefined };
  return {
    ...state,
    reference,
    referenceChecksum,
    rewardModel,
    sources,
    rows,
    prompts,
    heldOut,
    baseline,
    warned: new Set(),
  };
}

const baselineFile = 'baseline.json';

export async function saveReinforcement(state: ReinforcementState, directory: string): Promise<void> {
  await saveTrainingState(state, directory);
  await writeFile(join(directory, baselineFile), `${JSON.stringify({ baseline: state.baseline })}\n`);
}

function checkMinibatches(config: ReinforcementConfig & { samplesPerPrompt: number }): void {
  const responses = config.batchSize * config.samplesPerPrompt;
  if (config.minibatches <= responses && responses > 1) return;
  const message = `${responses} responses an iteration (batchSize × samplesPerPrompt) cannot be cut into ${config.minibatches} minibatches`;
  throw new RequestError({
    where: 'minibatches',
    message,
    hint: 'raise batchSize; an iteration needs two responses or more',
  });
}

export function closeReinforcement(state: ReinforcementState): void {
  releaseTrainingState(state);
  releaseModel(state.reference);
  if (state.rewardModel) releaseModel(state.rewardModel.model);
}

export const encodedPrompts = (rows: readonly PromptRow[], tokenizer: Tokenizer): PromptTokens[] =>
  rows.map(({ prompt }, row) => ({ row, tokens: encodePrompt(prompt, tokenizer) }));

async function rewardSources(
  config: ReinforcementConfig,
  { baseDirectory }: StageRun,
  rewardModel: RewardModel | undefined,
  rows: readonly PromptRow[],
): Promise<RewardSource[]> {
  const sources: RewardSource[] = [];
  if (rewardModel) sources.push(modelReward(rewardModel, config.rewardWeight));
  if (config.verify !== 'none') {
    checkAnswers(rows, config.verify, config.data);
    sources.push(verifiedReward(config.verify, config.verifyWeight));
  }
  if (config.rewardFunction !== undefined) {
    const reward = await loadRewardFunction(resolve(baseDirectory, config.rewardFunction));
    sources.push(functionReward(reward, config.rewardFunctionWeight));
  }
  if (sources.length > 0) return sources;
  throw new RequestError({
    message: 'nothing gives a reward',
    hint: 'set `verify: exact`, `reward: STAGE OR DIRECTORY` or `rewardFunction: ./reward.js`',
  });
}

/** A reward model reads the ids that the policy writes, so both must mean the same by them. */
export async function assertSameTokenizer(tokenizer: Tokenizer, rewardDirectory: string): Promise<void> {
  const other = await loadTokenizer(rewardDirectory);
  if (other.fingerprint === tokenizer.fingerprint) return;
  const ids = Array.from({ length: Math.max(tokenizer.vocabSize, other.vocabSize) }, (_, id) => id);
  const different = ids.find((id) => tokenizer.idToToken(id) !== other.idToToken(id));
  if (different === undefined && tokenizer.chatTemplate === other.chatTemplate) return;
  const name = (id: number, from: Tokenizer): string => JSON.stringify(from.idToToken(id) ?? '(none)');
  throw new RequestError({
    where: 'reward',
    message:
      different === undefined
        ? 'the reward model has another chat template than the policy'
        : `the reward model has another tokenizer than the policy: token ${different} is ${name(different, other)} there and ${name(different, tokenizer)} here`,
    hint: 'train the reward model from a model with the tokenizer of the policy',
  });
}

/** The prompts that leave room for a response; too long ones are an error unless they may be dropped. */
function fittingPrompts(
  rows: readonly PromptRow[],
  tokenizer: Tokenizer,
  { config: { maxLength, vocabSize } }: Model,
  { data, maxNewTokens, onTooLong }: ReinforcementConfig,
): PromptTokens[] {
  const prompts = encodedPrompts(rows, tokenizer);
  const isTooLong = ({ tokens }: PromptTokens): boolean => tokens.length + maxNewTokens > maxLength;
  const tooLong = prompts.filter(isTooLong);
  if (tooLong.length > 0 && onTooLong === 'error') {
    const problems = tooLong.slice(0, 5).map(({ row, tokens }): Problem => {
      const message = `row ${row + 1}: a prompt of ${tokens.length} tokens and ${maxNewTokens} new ones are more than the model's ${maxLength}`;
      return { where: data, message };
    });
    const hint = `${tooLong.length} of ${prompts.length} prompts are too long; set \`onTooLong: drop\` or lower maxNewTokens`;
    throw new RequestError([...problems.slice(0, -1), { ...problems.at(-1)!, hint }]);
  }
  const fitting = prompts.filter((prompt) => !isTooLong(prompt));
  const sequences = fitting.map(({ tokens }) => ({ tokens, trained: new Uint8Array(tokens.length) }));
  checkTokenIds(sequences, tokenizer, vocabSize);
  return fitting;
}
