import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { saveModel } from '../checkpoint/load-model.ts';
import { paddingIdOf } from '../checkpoint/padding-token.ts';
import { rewardModelFrom } from '../checkpoint/reward-model.ts';
import { readSavedJson } from '../checkpoint/saved-json.ts';
import { type Problem, RequestError } from '../errors.ts';
import type { Metrics } from '../evaluation/metrics.ts';
import type { RewardSource } from '../evaluation/reward-sources.ts';
import { adaptedCoefficient } from '../losses/adaptive-kl.ts';
import { explainedVariance } from '../losses/clipped-value.ts';
import { type Model, scoreHeadOf } from '../model/model.ts';
import { copyModel } from '../model/weights.ts';
import {
  beginIteration,
  endIteration,
  iterationNumber,
  minibatchesLeft,
  updateIteration,
  updatePolicy,
} from '../reinforcement/iteration.ts';
import { ppoPresets } from '../reinforcement/ppo-presets.ts';
import {
  evaluateResponses,
  responseMetricNames,
  sampleExperience,
  sampleResponses,
} from '../reinforcement/sampling.ts';
import {
  closeReinforcement,
  iterationsOf,
  openReinforcement,
  type ReinforcementState,
  reinforcementProblems,
  resultOf,
  saveReinforcement,
} from '../reinforcement/state.ts';
import { type PpoExample, withAdvantages } from '../training/experience.ts';
import { type Optimizer, update } from '../training/optimizer.ts';
import {
  type PolicyMetrics,
  policyStep,
  sharedStep,
  type ValueMetrics,
  valueStep,
} from '../training/proximal-policy.ts';
import { shareOf } from '../training/ranks.ts';
import { ofEachResponse, responseValues } from '../training/responses.ts';
import {
  assertReturnsEndInRewards,
  assertRewardAtEnd,
  assertUntouchedRatio,
  assertUntouchedValues,
} from '../training/rollout-checks.ts';
import {
  loadTrainingState,
  newTrainingState,
  releaseTrainingState,
  saveTrainingState,
  type TrainingState,
} from '../training/state.ts';
import { loadValueHead, saveValueHead, withValueHead } from '../training/value-head.ts';
import { type PpoConfig, ppoSchema } from './ppo-schema.ts';
import { pause, type Stage, type StageRun, type StepRecord } from './stage.ts';

export interface PpoState extends ReinforcementState<PpoExample> {
  /**
   * A separate critic, whose scores of every token are the values. Without one, values come from a head on the policy.
   */
  critic: Optimizer | undefined;
  /** Added to the critic's scores to give values: the offset of the reward model it was initialised from. */
  valueOffset: number;
  /** The current KL coefficient, which changes if `klTarget` is set. */
  klCoefficient: number;
}

/** Proximal policy optimisation of responses (Schulman et al. 2017; for language models Ziegler et al. 2019). */
export async function* ppo(
  config: PpoConfig,
  state: PpoState,
  run: StageRun,
): AsyncGenerator<StepRecord | typeof pause, { steps: number }> {
  const { critic } = state;
  const { ranks } = state.optimizer;
  const totalSteps = iterationsOf(config, state.prompts.length);
  const totalUpdates = totalSteps * config.passes * config.minibatches;

  for (let step = iterationNumber(config, state); step <= totalSteps; step++) {
    state.iteration ??= await beginIteration(await sampleExperience(config, state, run, step), async (experience) => {
      const { klCoefficient } = state;
      const own = await ofEachResponse(shareOf(experience, ranks), (packed) =>
        responseValues(valueModelOf(state), packed, state.valueOffset),
      );
      const examples = withAdvantages(experience, await ranks.gather(own), { ...config, klCoefficient });
      assertRewardAtEnd(examples, { ...config, klCoefficient });
      assertReturnsEndInRewards(examples);
      return { examples, metrics: { klCoefficient, ...explained(examples) } };
    });
    const { iteration } = state;
    for (const minibatch of minibatchesLeft(iteration, { ...config, seed: run.seed, name: `ppo/${step}` })) {
      yield pause;
      await updateIteration(iteration, async () => {
        const gradients = await gradientStep(config, state, minibatch);
        const report = reported(gradients, minibatch, state);
        const updated = await updatePolicy(config, state, { responses: minibatch.length, totalUpdates });
        if (!critic) return { ...report, ...updated };
        const { gradientNorm } = await update(critic, { ...config, lr: config.valueLr }, totalUpdates);
        return { ...report, ...updated, valueGradientNorm: gradientNorm };
      });
    }
    if (config.klTarget !== undefined) {
      const target = { target: config.klTarget, horizon: config.klHorizon };
      const { kl } = iteration.metrics;
      state.klCoefficient = adaptedCoefficient(state.klCoefficient, kl!, iteration.examples.length, target);
    }
    yield await endIteration(config, state, iteration, { step, totalSteps });
  }
  return { steps: totalSteps };
}

const valueModelOf = ({ critic, optimizer }: PpoState): Model => (critic ?? optimizer).model;

/** Adds the gradients of policy and values, each to its own optimiser or, on a shared trunk, both to the policy's. */
async function gradientStep(
  { clipRange, valueClip, valueWeight, ...config }: PpoConfig,
  { optimizer, critic, valueOffset }: PpoState,
  minibatch: readonly PpoExample[],
): Promise<PolicyMetrics & ValueMetrics> {
  const loss = {
    ...config,
    clip: { low: clipRange, high: clipRange },
    ratio: 'token' as const,
    weighting: 'token' as const,
  };
  if (!critic) return sharedStep(optimizer, minibatch, loss, { clip: valueClip, weight: valueWeight });
  const values = await valueStep(critic, minibatch, valueClip, valueOffset);
  return { ...(await policyStep(optimizer, minibatch, loss)), ...values };
}

/** Checks the invariants of an iteration's first minibatch, and returns only the metrics to report. */
function reported(
  { ratioDistance, valueDistance, ...report }: PolicyMetrics & ValueMetrics,
  minibatch: readonly PpoExample[],
  { optimizer, iteration }: PpoState,
): Metrics {
  const { precision } = optimizer.model.backend;
  if (iteration?.updates.length === 0) {
    assertUntouchedRatio({ ratioDistance, clipFraction: report.clipFraction }, precision);
    assertUntouchedValues(valueDistance, minibatch, precision);
  }
  return report;
}

/** The explained variance of the returns; left out if all returns are equal, when it is not a number. */
function explained(examples: readonly PpoExample[]): Metrics {
  const all = (of: (example: PpoExample) => Float64Array): number[] => examples.flatMap((example) => [...of(example)]);
  const variance = explainedVariance(
    all(({ values }) => values),
    all(({ returns }) => returns),
  );
  return Number.isFinite(variance) ? { explainedVariance: variance } : {};
}

const savedSchema = z.strictObject({ klCoefficient: z.number().nonnegative() });

export const ppoStage: Stage<PpoConfig, PpoState> = {
  name: 'ppo',
  summary: 'align a model by rewarding its own responses, with a critic (PPO)',
  schema: ppoSchema,
  isRandom: true,
  readsOnOpen: true,
  presets: { preset: ppoPresets },
  inputs: { from: { kind: 'model' }, reward: { kind: 'reward model', optional: true } },
  result: 'model',
  datasets: { data: { use: 'prompt' }, pretrainData: { use: 'text', optional: true } },
  files: ['rewardFunction', 'jsonSchema'],
  check: async (config, run) => [...criticProblems(config), ...(await reinforcementProblems(config, run))],
  async open(config, run, from) {
    const problems = criticProblems(config);
    if (problems.length > 0) throw new RequestError(problems);
    const state = await openReinforcement<PpoExample>(config, run, from);
    const saved = from ? await readSavedJson(join(from, 'ppo.json'), savedSchema) : undefined;
    const klCoefficient = saved?.klCoefficient ?? config.klCoefficient;
    if (config.critic === 'shared') {
      const optimizer = withValueHead(state.optimizer);
      if (from) await loadValueHead(optimizer, join(from, valueHeadFile));
      return { ...state, optimizer, critic: undefined, valueOffset: 0, klCoefficient };
    }
    return { ...state, ...(await openCritic(config, state, run, from)), klCoefficient };
  },
  outlook: (config, { prompts }) => ({ steps: iterationsOf(config, prompts.length) }),
  run: ppo,
  budget: ({ budget }) => budget,
  async save(state, directory) {
    await saveReinforcement(state, directory);
    await writeFile(join(directory, 'ppo.json'), `${JSON.stringify({ klCoefficient: state.klCoefficient })}\n`);
    const critic = criticStateOf(state);
    if (!critic) return saveValueHead(state.optimizer, join(directory, valueHeadFile));
    await mkdir(join(directory, criticFolder));
    await saveTrainingState(critic, join(directory, criticFolder));
  },
  finish: (_config, state, directory) => saveModel(directory, resultOf(state), state),
  evaluate: evaluateResponses,
  heldOut: responseMetricNames,
  sample: sampleResponses,
  close(state) {
    const critic = criticStateOf(state);
    if (critic) releaseTrainingState(critic);
    closeReinforcement(state);
  },
};

const [criticFolder, valueHeadFile] = ['critic', 'value-head.safetensors'];

function criticProblems({ critic, reward }: PpoConfig): Problem[] {
  if (critic !== 'reward' || reward !== undefined) return [];
  return [
    { where: 'critic', message: 'there is no reward model to start from', hint: 'set `reward`, or `critic: policy`' },
  ];
}

/** A separate critic, newly initialised or from a saved state, and the offset of its values. */
async function openCritic(
  config: PpoConfig,
  { tokenizer, rewardModel, sources, prompts }: ReinforcementState,
  run: StageRun,
  from: string | undefined,
): Promise<Pick<PpoState, 'critic' | 'valueOffset'>> {
  paddingIdOf(tokenizer);
  const data = { rows: prompts.length, seed: run.seed, recompute: config.recompute, ranks: run.ranks };
  const start = rewardModel && beginsAsReward(config, sources) ? rewardModel : undefined;
  const valueOffset = start?.offset ?? 0;
  if (from) {
    const { optimizer } = await loadTrainingState(join(from, criticFolder), run.backend, data, tokenizer);
    return { critic: optimizer, valueOffset };
  }
  run.log(`values begin as ${start ? 'those of the reward model' : "0: the policy's decoder under a new head"}`);
  const model = start ? copyModel(start.model) : await freshCritic(run);
  return { critic: newTrainingState(model, data, tokenizer).optimizer, valueOffset };
}

/** Whether the critic starts as the reward model: by default, if its unscaled rewards are all that is learned from. */
function beginsAsReward({ critic, scoreScale }: PpoConfig, sources: readonly RewardSource[]): boolean {
  if (critic !== 'auto') return critic === 'reward';
  const learned = sources.filter(({ weight }) => weight !== 0);
  return scoreScale === 'none' && learned.every(({ name, weight }) => name === 'modelReward' && weight === 1);
}

/** The policy's decoder with a head of zeros, so that values start at 0, as in OpenAI's code (Huang et al. 2024). */
async function freshCritic({ inputs, backend, seed }: StageRun): Promise<Model> {
  const model = await rewardModelFrom(inputs.from![0]!.directory, backend, seed);
  backend.fill(scoreHeadOf(model), 0);
  return model;
}

const criticStateOf = ({ critic, cursor, tokenizer }: PpoState): TrainingState | undefined =>
  critic && { optimizer: critic, cursor, tokenizer };
