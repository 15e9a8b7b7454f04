import { z } from 'zod';
import { saveModel } from '../checkpoint/load-model.ts';
import { rlooAdvantages } from '../losses/rloo.ts';
import {
  beginIteration,
  endIteration,
  iterationNumber,
  minibatchesLeft,
  policyGradient,
  updateIteration,
  updatePolicy,
} from '../reinforcement/iteration.ts';
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
  reinforcementSchema,
  resultOf,
  saveReinforcement,
} from '../reinforcement/state.ts';
import { equalGroups, responseKls, withGroupAdvantages } from '../training/experience.ts';
import { pause, type Stage, type StageRun, type StepRecord } from './stage.ts';

/** TRL's `RLOOConfig`. */
export const rlooPresets = {
  trl: {
    klCoefficient: 0.05,
    samplesPerPrompt: 2,
    lr: 1e-6,
    clipRange: 0.2,
    passes: 1,
    temperature: 1,
    maxNewTokens: 256,
    missingEosPenalty: 0,
  },
};

export const rlooSchema = reinforcementSchema(
  {
    samplesPerPrompt: z.int().min(2).default(4).describe('responses to each prompt'),
    passes: z.int().positive().default(1).describe("passes over an iteration's responses"),
    klCoefficient: z
      .number()
      .nonnegative()
      .default(0.05)
      .describe('weight of the KL to the reference, subtracted from the rewards'),
    clipRange: z
      .number()
      .positive()
      .default(0.2)
      .describe("largest distance from 1 of a whole response's probability ratio"),
  },
  rlooPresets,
);

export type RlooConfig = z.infer<typeof rlooSchema>;

/**
 * REINFORCE with a leave-one-out baseline (Ahmadian et al. 2024, arXiv 2402.14740): no critic; the
 * baseline of a response is the mean reward of the other responses to its prompt.
 */
export async function* rloo(
  config: RlooConfig,
  state: ReinforcementState,
  run: StageRun,
): AsyncGenerator<StepRecord | typeof pause, { steps: number }> {
  const totalSteps = iterationsOf(config, state.prompts.length);
  const totalUpdates = totalSteps * config.passes * config.minibatches;
  const { clipRange } = config;
  const clip = { low: clipRange, high: clipRange };
  // A whole response is one action: its ratio is of Σ log π, and its gradient that of the probability of all of it.
  const loss = { ...config, clip, ratio: 'response' as const, weighting: 'response' as const };

  for (let step = iterationNumber(config, state); step <= totalSteps; step++) {
    state.iteration ??= await beginIteration(await sampleExperience(config, state, run, step), async (experience) => {
      const kls = responseKls(experience);
      const rewards = experience.map(({ score }, i) => score - config.klCoefficient * kls[i]!);
      const examples = withGroupAdvantages(experience, rewards, config.samplesPerPrompt, rlooAdvantages);
      return { examples, metrics: { equalGroups: equalGroups(experience, config.samplesPerPrompt) } };
    });
    const { iteration } = state;
    for (const minibatch of minibatchesLeft(iteration, { ...config, seed: run.seed, name: `rloo/${step}` })) {
      yield pause;
      await updateIteration(iteration, async () => {
        const report = await policyGradient(state, minibatch, loss);
        return { ...report, ...(await updatePolicy(config, state, { responses: minibatch.length, totalUpdates })) };
      });
    }
    yield await endIteration(config, state, iteration, { step, totalSteps });
  }
  return { steps: totalSteps };
}

export const rlooStage: Stage<RlooConfig, ReinforcementState> = {
  name: 'rloo',
  summary: 'align a model by rewarding several responses to each prompt, without a critic (RLOO)',
  schema: rlooSchema,
  isRandom: true,
  readsOnOpen: true,
  presets: { preset: rlooPresets },
  inputs: { from: { kind: 'model' }, reward: { kind: 'reward model', optional: true } },
  result: 'model',
  datasets: { data: { use: 'prompt' }, pretrainData: { use: 'text', optional: true } },
  files: ['rewardFunction', 'jsonSchema'],
  check: reinforcementProblems,
  open: openReinforcement,
  outlook: (config, { prompts }) => ({ steps: iterationsOf(config, prompts.length) }),
  run: rloo,
  budget: ({ budget }) => budget,
  save: saveReinforcement,
  finish: (_config, state, directory) => saveModel(directory, resultOf(state), state),
  evaluate: evaluateResponses,
  heldOut: responseMetricNames,
  sample: sampleResponses,
  close: closeReinforcement,
};
