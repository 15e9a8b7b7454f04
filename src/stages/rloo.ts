import { z } from 'zod';
import { saveModel } from '../checkpoint/load-model.ts';
import { answerPrompts } from '../evaluation/exact-match.ts';
import { rlooAdvantages } from '../losses/rloo.ts';
import { responseKls, withGroupAdvantages } from '../training/experience.ts';
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

export const rlooSchema = z.strictObject({
  ...reinforcementOptions,
  samplesPerPrompt: z.int().min(2).default(4).describe('responses to each prompt'),
  passes: z.int().positive().default(1).describe('passes over the responses of an iteration'),
  klCoefficient: z.number().nonnegative().default(0.05).describe('weight of the KL to the reference in the rewards'),
  clipRange: z.number().positive().default(0.2).describe('how far the ratio may go from 1'),
});

export type RlooConfig = z.infer<typeof rlooSchema>;

/**
 * REINFORCE with a leave-one-out baseline (Ahmadian et al. 2024, arXiv 2402.14740): no critic, the other responses to a
 * prompt say what was to be expected.
 */
export async function* rloo(
  config: RlooConfig,
  state: ReinforcementState,
  run: StageRun,
): AsyncGenerator<StepRecord, { steps: number }> {
  const totalSteps = iterationsOf(config, state.prompts.length);
  const updates = config.passes * config.minibatches;
  const { clipRange, temperature, maxNewTokens } = config;
  // Σ over tokens, not their mean: the gradient of log π of the whole response.
  const loss = { clip: { low: clipRange, high: clipRange }, temperature, maxNewTokens, weighting: 'constant' as const };

  for (let step = state.optimizer.step / updates + 1; step <= totalSteps; step++) {
    const { experience, metrics, rolloutSeconds } = await sampleExperience(config, state, run, step);
    const begun = performance.now();
    const kls = responseKls(experience);
    const rewards = experience.map(({ score }, i) => score - config.klCoefficient * kls[i]!);
    const examples = withGroupAdvantages(experience, rewards, config.samplesPerPrompt, rlooAdvantages);
    const report = await policyUpdates(examples, loss, config, state, { name: `rloo/${step}`, seed: run.seed });
    await checkReference(state, step, totalSteps);
    const updating = { seconds: (performance.now() - begun) / 1000, passes: config.passes };
    yield { step, totalSteps, ...metrics, ...report, ...speeds(experience, rolloutSeconds, updating) };
  }
  return { steps: totalSteps };
}

export const rlooStage: Stage<RlooConfig, ReinforcementState> = {
  name: 'rloo',
  summary: 'align a model to rewards of several responses to a prompt, without a critic (RLOO)',
  schema: rlooSchema,
  inputs: { from: { kind: 'model' }, reward: { kind: 'reward model', optional: true } },
  result: 'model',
  datasets: { data: { use: 'prompt' } },
  files: ['rewardFunction'],
  open: openReinforcement,
  run: rloo,
  save: saveReinforcement,
  finish: (_config, { optimizer, tokenizer }, directory) => saveModel(directory, optimizer.model, { tokenizer }),
  evaluate: evaluateResponses,
  sample: ({ maxNewTokens }, { optimizer, tokenizer, heldOut, rows }) =>
    answerPrompts(optimizer.model, tokenizer, [...heldOut, ...rows].slice(0, sampleCount), { maxNewTokens }),
  close: closeReinforcement,
};
