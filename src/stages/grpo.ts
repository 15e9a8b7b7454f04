import { z } from 'zod';
import { saveModel } from '../checkpoint/load-model.ts';
import { groupScales, grpoAdvantages, tokenWeightings } from '../losses/grpo.ts';
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
import { equalGroups, withGroupAdvantages } from '../training/experience.ts';
import { pause, type Stage, type StageRun, type StepRecord } from './stage.ts';

/**
 * Corrections of the original form (Shao et al. 2024), each as in its paper, with the defaults of TRL's `GRPOConfig`.
 */
export const grpoPresets = {
  'dr-grpo': { scale: 'none', weighting: 'constant', klCoefficient: 0 },
  dapo: { clipRange: 0.2, clipHigher: 0.28, weighting: 'token', klCoefficient: 0 },
  trl: {
    klCoefficient: 0,
    samplesPerPrompt: 8,
    lr: 1e-6,
    clipRange: 0.2,
    temperature: 1,
    missingEosPenalty: 0,
    weighting: 'token',
  },
};

export const grpoSchema = reinforcementSchema(
  {
    samplesPerPrompt: z.int().min(2).default(8).describe('responses to each prompt'),
    passes: z.int().positive().default(1).describe("passes over an iteration's responses"),
    klCoefficient: z
      .number()
      .nonnegative()
      .default(0.04)
      .describe('weight of the KL to the reference (k3) in the loss'),
    clipRange: z
      .number()
      .positive()
      .default(0.2)
      .describe('largest distance of the probability ratio below 1, and above it'),
    clipHigher: z.number().positive().optional().describe('largest distance above 1, if different; DAPO: 0.28'),
    scale: z.enum(groupScales).default('deviation').describe('what advantages are divided by; none as in Dr. GRPO'),
    weighting: z
      .enum(tokenWeightings)
      .default('response')
      .describe('what has equal weight: each response, each token (DAPO), or each possible token (Dr. GRPO)'),
  },
  grpoPresets,
);

export type GrpoConfig = z.infer<typeof grpoSchema>;

/**
 * Group-relative policy optimisation (Shao et al. 2024, DeepSeekMath, arXiv 2402.03300), with the corrections of Dr.
 * GRPO and DAPO.
 */
export async function* grpo(
  config: GrpoConfig,
  state: ReinforcementState,
  run: StageRun,
): AsyncGenerator<StepRecord | typeof pause, { steps: number }> {
  const totalSteps = iterationsOf(config, state.prompts.length);
  const totalUpdates = totalSteps * config.passes * config.minibatches;
  const { clipRange, clipHigher = clipRange, klCoefficient } = config;
  const kl = klCoefficient > 0 ? { kl: { kind: 'k3' as const, coefficient: klCoefficient } } : {};
  const loss = { ...config, ratio: 'token' as const, clip: { low: clipRange, high: clipHigher }, ...kl };

  for (let step = iterationNumber(config, state); step <= totalSteps; step++) {
    state.iteration ??= await beginIteration(await sampleExperience(config, state, run, step), async (experience) => {
      const scores = experience.map(({ score }) => score);
      const examples = withGroupAdvantages(experience, scores, config.samplesPerPrompt, (group) =>
        grpoAdvantages(group, config.scale),
      );
      return { examples, metrics: { equalGroups: equalGroups(experience, config.samplesPerPrompt) } };
    });
    const { iteration } = state;
    for (const minibatch of minibatchesLeft(iteration, { ...config, seed: run.seed, name: `grpo/${step}` })) {
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

export const grpoStage: Stage<GrpoConfig, ReinforcementState> = {
  name: 'grpo',
  summary: 'align a model by rewarding several responses to each prompt relative to each other (GRPO)',
  schema: grpoSchema,
  isRandom: true,
  readsOnOpen: true,
  presets: { preset: grpoPresets },
  inputs: { from: { kind: 'model' }, reward: { kind: 'reward model', optional: true } },
  result: 'model',
  datasets: { data: { use: 'prompt' }, pretrainData: { use: 'text', optional: true } },
  files: ['rewardFunction', 'jsonSchema'],
  check: reinforcementProblems,
  open: openReinforcement,
  outlook: (config, { prompts }) => ({ steps: iterationsOf(config, prompts.length) }),
  run: grpo,
  budget: ({ budget }) => budget,
  save: saveReinforcement,
  finish: (_config, state, directory) => saveModel(directory, resultOf(state), state),
  evaluate: evaluateResponses,
  heldOut: responseMetricNames,
  sample: sampleResponses,
  close: closeReinforcement,
};
