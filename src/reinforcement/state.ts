import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { deserialize, serialize } from 'node:v8';
import { z } from 'zod';
import { loadModel, saveModel } from '../checkpoint/load-model.ts';
import { numberOrNaN, readSavedJson } from '../checkpoint/saved-json.ts';
import { given } from '../config/conditions.ts';
import { type Presets, withPresets } from '../config/presets.ts';
import { asCount } from '../config/scaling.ts';
import { loadConversationTokenizer } from '../data/conversation-tokenizer.ts';
import { cursorSchema } from '../data/cursor.ts';
import { openPrompts, type Prompts, promptOptions } from '../data/prompts.ts';
import { type Problem, RequestError } from '../errors.ts';
import type { Metrics } from '../evaluation/metrics.ts';
import { noMoments, type RunningMoments } from '../losses/running-moments.ts';
import { type Model, releaseModel } from '../model/model.ts';
import { copyModel } from '../model/weights.ts';
import type { Baseline } from '../training/drift.ts';
import type { PolicyExample } from '../training/experience.ts';
import { totalStepsOf, trainingOptions } from '../training/options.ts';
import { weightsChecksum } from '../training/rollout-checks.ts';
import {
  loadTrainingState,
  newTrainingState,
  releaseTrainingState,
  saveTrainingState,
  type TrainingState,
} from '../training/state.ts';
import { openPretrainingMix, type PretrainingMix, pretrainingMixOptions } from './pretraining-mix.ts';
import { openRewards, type Rewards, rewardOptions, rewardProblems, withRewardFile } from './rewards.ts';
import type { ReinforcementRun } from './run.ts';

const { accumulate, ...training } = trainingOptions({ epochs: 1, batchSize: 32, lr: 3e-6, warmup: 0, weightDecay: 0 });

/** The options that stages which learn from their own responses (`ppo`, `rloo`, `grpo`) share. */
export const reinforcementOptions = {
  from: z.string().describe('policy and reference: a stage or a Hugging Face directory'),
  ...promptOptions,
  ...rewardOptions,
  temperature: z
    .number()
    .positive()
    .default(1)
    .describe('temperature of sampling, and of the log-probabilities that are trained'),
  minibatches: z.int().positive().default(1).describe("updates per pass over an iteration's responses"),
  entropyCoefficient: z.number().nonnegative().default(0).describe('weight of the entropy bonus'),
  maxKl: z
    .number()
    .positive()
    .default(50)
    .describe('end the run if the KL to the reference exceeds this, in nats per response'),
  referenceEvery: z
    .int()
    .positive()
    .optional()
    .describe('iterations between updates of the reference from the policy')
    .meta({ scaling: asCount }),
  referenceMix: z
    .number()
    .positive()
    .max(1)
    .default(1)
    .describe(
      'share of the policy in such an update: 1 = a copy of the policy, 0.008 = a moving average of decay 0.992',
    )
    .meta({ condition: given('referenceEvery') }),
  averageDecay: z
    .number()
    .min(0)
    .lt(1)
    .optional()
    .describe("decay of a moving average of the policy's weights, which becomes the result; InstructGPT: 0.992"),
  ...pretrainingMixOptions,
  ...training,
  steps: training.steps.describe('iterations of sampling and updating; an alternative to epochs'),
  epochs: training.epochs.describe('passes over the prompts'),
  batchSize: training.batchSize.describe('prompts per iteration'),
  evalEvery: training.evalEvery.describe('iterations between evaluations'),
  sampleEvery: training.sampleEvery.describe('iterations between samples').meta({ condition: undefined }),
  saveEvery: training.saveEvery.describe('iterations between saved states'),
};

export type ReinforcementConfig = z.infer<z.ZodObject<typeof reinforcementOptions>>;

/** How many responses there are to each prompt, and how often each is learned from. */
interface Passes {
  samplesPerPrompt: number;
  passes: number;
}

/** The schema of a stage that learns from its own responses: the shared keys, the stage's own, and its presets. */
export function reinforcementSchema<Shape extends z.ZodRawShape>(
  own: Shape,
  presets: Presets<keyof (Shape & typeof reinforcementOptions) & string>,
) {
  return z.preprocess(withRewardFile, withPresets({ ...reinforcementOptions, ...own }, presets));
}

/** An iteration under way: its examples and its progress. */
export interface Iteration<Example extends PolicyExample = PolicyExample> {
  examples: readonly Example[];
  /** Metrics of the responses. */
  metrics: Metrics;
  /** Metrics of each update so far. */
  updates: Metrics[];
  rolloutSeconds: number;
  updateSeconds: number;
}

/** Everything that the rest of the run depends on. */
export interface ReinforcementState<Example extends PolicyExample = PolicyExample>
  extends TrainingState,
    Prompts,
    Rewards {
  /** The reference model; frozen except for `referenceEvery`. */
  reference: Model;
  /** SHA-256 of the reference's weights when it was opened or last updated. */
  referenceChecksum: string;
  /** Whether the reference is no longer the model that the stage began with. */
  hasReferenceMoved: boolean;
  /** Whether the reference has the policy's weights, which holds until the next update. */
  isReferenceFresh: boolean;
  /** Moving average of the policy's weights. */
  average: Model | undefined;
  pretraining: PretrainingMix | undefined;
  /** Moments of all rewards so far, for `scoreScale`. */
  scoreMoments: RunningMoments;
  /** Metrics of the first iteration. */
  baseline: Baseline | undefined;
  /** Causes of drift that the user has already been warned of. */
  warned: Set<string>;
  /** The iteration under way, if any. */
  iteration: Iteration<Example> | undefined;
}

/** Iterations of the whole stage. */
export function iterationsOf(config: ReinforcementConfig, prompts: number): number {
  return totalStepsOf({ ...config, accumulate: 1 }, prompts);
}

/** Problems with the config and its files that can be detected before any work; `where` is a key. */
export async function reinforcementProblems(
  config: ReinforcementConfig & Passes,
  { baseDirectory }: Pick<ReinforcementRun, 'baseDirectory'>,
): Promise<Problem[]> {
  return [...minibatchProblems(config), ...(await rewardProblems(config, baseDirectory))];
}

function minibatchProblems({ batchSize, samplesPerPrompt, minibatches }: ReinforcementConfig & Passes): Problem[] {
  const responses = batchSize * samplesPerPrompt;
  if (minibatches <= responses && responses > 1) return [];
  const message = `${responses} responses per iteration (batchSize × samplesPerPrompt) cannot be split into ${minibatches} minibatches`;
  return [{ where: 'minibatches', message, hint: 'raise batchSize; an iteration needs two responses or more' }];
}

const files = { small: 'reinforcement.json', iteration: 'iteration.bin', reference: 'reference', average: 'average' };

const number = z.number();
/** JSON has `null` for NaN, such as the standard error of a single value. */
const estimateSchema = z.strictObject({ mean: numberOrNaN, error: numberOrNaN });

/** What `saveReinforcement` writes in addition to tensors and the iteration. */
const savedSchema = z.strictObject({
  hasReferenceMoved: z.boolean(),
  isReferenceFresh: z.boolean(),
  scoreMoments: z.strictObject({ count: z.int().nonnegative(), mean: number, squares: number.nonnegative() }),
  pretraining: cursorSchema.optional(),
  baseline: z
    .strictObject({
      entropy: numberOrNaN,
      responseLength: numberOrNaN,
      reward: estimateSchema,
      sources: z.record(z.string(), estimateSchema),
    })
    .optional(),
  warned: z.array(z.string()),
});

/** The iteration in the middle of which a state was saved, if any. @throws RequestError if the file is not valid */
async function readIteration<Example extends PolicyExample>(file: string): Promise<Iteration<Example> | undefined> {
  try {
    const saved: unknown = deserialize(await readFile(file));
    if (saved === undefined) return undefined;
    iterationSchema.parse(saved);
    return saved as Iteration<Example>;
  } catch {
    const hint = 'remove its folder to continue from an older state';
    throw new RequestError({ where: file, message: 'is not an iteration that a run has saved', hint });
  }
}

const objects = z.array(z.looseObject({}));
const iterationSchema = z.looseObject({
  examples: objects.min(1),
  metrics: z.looseObject({}),
  updates: objects,
  rolloutSeconds: number.nonnegative(),
  updateSeconds: number.nonnegative(),
});

/**
 * Opens the models, prompts and reward sources of a stage; `from` is the folder of a saved state to resume from.
 * @throws RequestError if something is wrong with one of them
 */
export async function openReinforcement<Example extends PolicyExample>(
  config: ReinforcementConfig & Passes,
  run: ReinforcementRun,
  from?: string,
): Promise<ReinforcementState<Example>> {
  const problems = minibatchProblems(config);
  if (problems.length > 0) throw new RequestError(problems);
  const start = run.inputs.from![0]!.directory;
  const tokenizer = await loadConversationTokenizer(start, run.log);
  const rewards = await openRewards(config, run, tokenizer);
  const saved = from ? await readSavedJson(join(from, files.small), savedSchema) : undefined;
  const modelIn = async (directory: string): Promise<Model> => (await loadModel(directory, run.backend)).model;

  const hasReferenceMoved = saved?.hasReferenceMoved ?? false;
  const reference = await modelIn(from && hasReferenceMoved ? join(from, files.reference) : start);
  const readers = [reference, ...(rewards.rewardModel ? [rewards.rewardModel.model] : [])];
  const maxLength = Math.min(...readers.map(({ config }) => config.maxLength));
  const prompts = await openPrompts(config, run, { tokenizer, model: { ...reference.config, maxLength } });
  const pretraining = await openPretrainingMix(config, run, { tokenizer, model: reference, from: saved?.pretraining });
  const data = { rows: prompts.prompts.length, seed: run.seed, recompute: config.recompute, ranks: run.ranks };
  const state = from
    ? await loadTrainingState(from, run.backend, data, tokenizer)
    : newTrainingState(copyModel(reference), data, tokenizer);
  const openAverage = async (): Promise<Model> => (from ? modelIn(join(from, files.average)) : copyModel(reference));
  return {
    ...state,
    ...prompts,
    ...rewards,
    reference,
    referenceChecksum: await weightsChecksum(reference),
    hasReferenceMoved,
    isReferenceFresh: saved?.isReferenceFresh ?? true,
    average: config.averageDecay === undefined ? undefined : await openAverage(),
    pretraining,
    scoreMoments: saved?.scoreMoments ?? noMoments,
    baseline: saved?.baseline,
    warned: new Set(saved?.warned),
    iteration: from ? await readIteration<Example>(join(from, files.iteration)) : undefined,
  };
}

export async function saveReinforcement(state: ReinforcementState, directory: string): Promise<void> {
  await saveTrainingState(state, directory);
  const small = {
    hasReferenceMoved: state.hasReferenceMoved,
    isReferenceFresh: state.isReferenceFresh,
    scoreMoments: state.scoreMoments,
    pretraining: state.pretraining?.cursor.state(),
    baseline: state.baseline,
    warned: [...state.warned],
  };
  await writeFile(join(directory, files.small), `${JSON.stringify(small)}\n`);
  await writeFile(join(directory, files.iteration), serialize(state.iteration));
  const models: [string, Model | undefined][] = [
    [files.reference, state.hasReferenceMoved ? state.reference : undefined],
    [files.average, state.average],
  ];
  for (const [name, model] of models) {
    if (!model) continue;
    await mkdir(join(directory, name));
    await saveModel(join(directory, name), model, state);
  }
}

/** The model that would be the result now: the moving average if there is one, else the policy. */
export const resultOf = ({ average, optimizer }: ReinforcementState): Model => average ?? optimizer.model;

export function closeReinforcement(state: ReinforcementState): void {
  releaseTrainingState(state);
  releaseModel(state.reference);
  if (state.average) releaseModel(state.average);
  if (state.rewardModel) releaseModel(state.rewardModel.model);
}
