import { z } from 'zod';
import { saveModel } from '../checkpoint/load-model.ts';
import { answerPrompts } from '../evaluation/exact-match.ts';
import { groupScales, grpoAdvantages, tokenWeightings } from '../losses/grpo.ts';
import { withGroupAdvantages } from '../training/experience.ts';
import { checkReference, evaluateResponses, policyUpdates, sampleExperience, speeds } from './iteration.ts';
import {
  closeReinforcement,
  iterationsOf,
  openReinforcement,
  type ReinforcementState,
  reinforcementOptions,
  saveReinforcement,
} from './reinforcement.ts';
import { sampleCount } from './samples.ts';
import type { Stage, StageRun, StepRecord } from './stage.ts';

export const grpoSchema = z.strictObject({
  ...reinforcementOptions,
  samplesPerPrompt: z.int().min(2).default(8).describe('responses to each prompt'),
  passes: z.int().positive().default(1).describe('passes over the responses of an iteration'),
  klCoefficient: z.number().nonnegative().default(0.04).describe('weight of the KL to the reference (k3) in the loss'),
  clipRange: z.number().positive().default(0.2).describe('how far the ratio may go below 1, and above it'),
  clipHigher: z.number().positive().optional().describe('how far it may go above 1 instead; DAPO: 0.28'),
  scale: z.enum(groupScales).default('deviation').describe('divisor of the advantages; none as in Dr. GRPO'),
  weighting: z
    .enum(tokenWeightings)
    .default('response')
    .describe('what counts the same: each response, each token (DAPO), each possible token (Dr. GRPO)'),
});

export type GrpoConfig = z.infer<typeof grpoSchema>;

/** Group-relative policy optimisation (Shao et al. 2024, DeepSeekMath, arXiv 2402.03300), with the corrections of Dr. GRPO and DAPO. */
export async function* grpo(
  config: GrpoConfig,
  state: ReinforcementState,
  run: StageRun,
): AsyncGenerator<StepRecord, { steps: number }> {
  const totalSteps = iterationsOf(config, state.prompts.length);
  const updates = config.passes * config.minibatches;
  const { clipRange, clipHigher = clipRange, klCoefficient } = config;
  const kl = klCoefficient > 0 ? { kl: { kind: 'k3' as const, coefficient: klCoefficient } } : {};
  const loss = { ...config, clip: { low: clipRange, high: clipHigher }, ...kl };

  for (let step = state.optimizer.step / updates + 1; step <= totalSteps; step++) {
    const { experience, metrics, rolloutSeconds } = await sampleExperience(config, state, run, step);
    const begun = performance.now();
    const scores = experience.map(({ score }) => score);
    const examples = withGroupAdvantages(experience, scores, config.samplesPerPrompt, (rewards) =>
      grpoAdvantages(rewards, config.scale),
    );
    const report = await policyUpdates(examples, loss, config, state, { name: `grpo/${step}`, seed: run.seed });
    await checkReference(state, step, totalSteps);
    const updating = { seconds: (performance.now() - begun) / 1000, passes: config.passes };
    yield { step, totalSteps, ...metrics, ...report, ...speeds(experience, rolloutSeconds, updating) };
  }
  return { steps: totalSteps };
}

export const grpoStage: Stage<GrpoConfig, ReinforcementState> = {
  name: 'grpo',
  summary: 'align a model to rewards of several responses to a prompt, compared with each other (GRPO)',
  schema: grpoSchema,
  inputs: { from: { kind: 'model' }, reward: { kind: 'reward model', optional: true } },
  result: 'model',
  datasets: { data: { use: 'prompt' } },
  files: ['rewardFunction'],
  open: openReinforcement,
  run: grpo,
  save: saveReinforcement,
  finish: (_config, { optimizer, tokenizer }, directory) => saveModel(directory, optimizer.model, { tokenizer }),
  evaluate: evaluateResponses,
  sample: ({ maxNewTokens }, { optimizer, tokenizer, heldOut, rows }) =>
    answerPrompts(optimizer.model, tokenizer, [...heldOut, ...rows].slice(0, sampleCount), { maxNewTokens }),
  close: closeReinforcement,
};
