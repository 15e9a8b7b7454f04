import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { saveModel } from '../checkpoint/load-model.ts';
import { paddingIdOf } from '../checkpoint/padding-token.ts';
import { rewardModelFrom } from '../checkpoint/reward-model.ts';
import { answerPrompts } from '../evaluation/exact-match.ts';
import { adaptedCoefficient } from '../losses/adaptive-kl.ts';
import { explainedVariance } from '../losses/clipped-value.ts';
import { type Model, scoreHeadOf } from '../model/model.ts';
import { copyModel } from '../model/weights.ts';
import { minibatchesOf, withAdvantages } from '../training/experience.ts';
import { type Optimizer, update } from '../training/optimizer.ts';
import { policyStep, valueStep } from '../training/proximal-policy.ts';
import { ofEachResponse, responseValues } from '../training/responses.ts';
import { assertRewardAtEnd, assertUntouchedRatio } from '../training/rollout-checks.ts';
import {
  loadTrainingState,
  newTrainingState,
  releaseTrainingState,
  saveTrainingState,
  type TrainingState,
} from '../training/state.ts';
import { checkReference, evaluateResponses, meanMetrics, sampleExperience, speeds } from './iteration.ts';
import {
  closeReinforcement,
  iterationsOf,
  klKind,
  openReinforcement,
  type ReinforcementState,
  reinforcementOptions,
  saveReinforcement,
} from './reinforcement.ts';
import { sampleCount } from './samples.ts';
import type { Metrics, Stage, StageRun, StepRecord } from './stage.ts';

export const ppoSchema = z.strictObject({
  ...reinforcementOptions,
  samplesPerPrompt: z.int().positive().default(1).describe('responses to each prompt'),
  passes: z.int().positive().default(4).describe('passes over the responses of an iteration (PPO epochs)'),
  valueLr: z.number().positive().default(9e-6).describe('peak learning rate of the critic'),
  klCoefficient: z.number().nonnegative().default(0.05).describe('weight of the KL to the reference in the rewards'),
  klKind: klKind.default('k1').describe('estimate of the KL of a token'),
  klTarget: z.number().positive().optional().describe('KL in nats a response that the coefficient is adapted to'),
  klHorizon: z.number().positive().default(10_000).describe('responses in which the coefficient may change e-fold'),
  clipRange: z.number().positive().default(0.2).describe('how far the ratio may go from 1'),
  valueClip: z.number().positive().default(0.2).describe('how far a value may go from what it was'),
  gamma: z.number().min(0).max(1).default(1).describe('what the next reward counts'),
  lambda: z.number().min(0).max(1).default(0.95).describe('of GAE: 0 trusts the critic, 1 the sampled returns'),
  whitenRewards: z.boolean().default(false).describe('divide rewards by their deviation before GAE'),
});

export type PpoConfig = z.infer<typeof ppoSchema>;

export interface PpoState extends ReinforcementState {
  /** Values are its scores of every token. */
  critic: Optimizer;
  /** What `klTarget` has made of it. */
  klCoefficient: number;
}

/** Proximal policy optimisation of responses (Schulman et al. 2017; for language models Ziegler et al. 2019). */
export async function* ppo(
  config: PpoConfig,
  state: PpoState,
  run: StageRun,
): AsyncGenerator<StepRecord, { steps: number }> {
  const { optimizer: policy, critic } = state;
  const { precision } = run.backend;
  const totalSteps = iterationsOf(config, state.prompts.length);
  const updates = config.passes * config.minibatches;

  for (let step = policy.step / updates + 1; step <= totalSteps; step++) {
    const { klCoefficient } = state;
    const { experience, metrics, rolloutSeconds } = await sampleExperience(config, state, run, step);
    const begun = performance.now();
    const values = await ofEachResponse(experience, (packed) => responseValues(critic.model, packed));
    const examples = withAdvantages(experience, values, { ...config, klCoefficient });
    assertRewardAtEnd(examples, { ...config, klCoefficient, endId: state.tokenizer.eosId });

    const reports: Metrics[] = [];
    for (const minibatch of minibatchesOf(examples, { ...config, seed: run.seed, name: `ppo/${step}` })) {
      const { ratioDistance, ...report } = await policyStep(policy, minibatch, policyLossOf(config));
      if (reports.length === 0) assertUntouchedRatio({ ...report, ratioDistance }, precision);
      const valueLoss = await valueStep(critic, minibatch, config.valueClip);
      const { learningRate, gradientNorm } = await update(policy, config, totalSteps * updates);
      await update(critic, { ...config, lr: config.valueLr }, totalSteps * updates);
      reports.push({ ...report, valueLoss, learningRate, gradientNorm });
    }
    if (config.klTarget !== undefined) {
      const target = { target: config.klTarget, horizon: config.klHorizon };
      state.klCoefficient = adaptedCoefficient(klCoefficient, metrics.kl, experience.length, target);
    }
    await checkReference(state, step, totalSteps);

    const returns = examples.flatMap((example) => [...example.returns]);
    const explained = explainedVariance(
      values.flatMap((value) => [...value]),
      returns,
    );
    yield {
      step,
      totalSteps,
      ...metrics,
      ...meanMetrics(reports),
      ...(Number.isFinite(explained) ? { explainedVariance: explained } : {}),
      klCoefficient,
      ...speeds(experience, rolloutSeconds, { seconds: (performance.now() - begun) / 1000, passes: config.passes }),
    };
  }
  return { steps: totalSteps };
}

const policyLossOf = ({ clipRange, temperature, maxNewTokens }: PpoConfig) => ({
  clip: { low: clipRange, high: clipRange },
  temperature,
  maxNewTokens,
  weighting: 'token' as const,
});

export const ppoStage: Stage<PpoConfig, PpoState> = {
  name: 'ppo',
  summary: 'align a model to rewards of its own responses, with a critic (PPO)',
  schema: ppoSchema,
  inputs: { from: { kind: 'model' }, reward: { kind: 'reward model', optional: true } },
  result: 'model',
  datasets: { data: { use: 'prompt' } },
  files: ['rewardFunction'],
  async open(config, run, from) {
    const state = await openReinforcement(config, run, from);
    const { tokenizer, rewardModel, prompts } = state;
    paddingIdOf(tokenizer);
    const data = { rows: prompts.length, seed: run.seed };
    if (from) {
      const { optimizer: critic } = await loadTrainingState(join(from, 'critic'), run.backend, data, tokenizer);
      const { klCoefficient } = JSON.parse(await readFile(join(from, 'ppo.json'), 'utf8'));
      return { ...state, critic, klCoefficient };
    }
    const model = rewardModel ? copyModel(rewardModel.model) : await freshCritic(run);
    const { optimizer: critic } = newTrainingState(model, data, tokenizer);
    return { ...state, critic, klCoefficient: config.klCoefficient };
  },
  run: ppo,
  async save(state, directory) {
    await saveReinforcement(state, directory);
    await mkdir(join(directory, 'critic'));
    await saveTrainingState(criticState(state), join(directory, 'critic'));
    await writeFile(join(directory, 'ppo.json'), `${JSON.stringify({ klCoefficient: state.klCoefficient })}\n`);
  },
  finish: (_config, { optimizer, tokenizer }, directory) => saveModel(directory, optimizer.model, { tokenizer }),
  evaluate: evaluateResponses,
  sample: ({ maxNewTokens }, { optimizer, tokenizer, heldOut, rows }) =>
    answerPrompts(optimizer.model, tokenizer, [...heldOut, ...rows].slice(0, sampleCount), { maxNewTokens }),
  close(state) {
    releaseTrainingState(criticState(state));
    closeReinforcement(state);
  },
};

/** The policy's decoder under a head of zeros: values begin at 0, as in OpenAI's code (Huang et al. 2024). */
async function freshCritic({ inputs, backend, seed }: StageRun): Promise<Model> {
  const model = await rewardModelFrom(inputs.from![0]!.directory, backend, seed);
  backend.fill(scoreHeadOf(model), 0);
  return model;
}

const criticState = ({ critic, cursor, tokenizer }: PpoState): TrainingState => ({
  optimizer: critic,
  cursor,
  tokenizer,
});
