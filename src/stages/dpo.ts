import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { loadModel, saveModel } from '../checkpoint/load-model.ts';
import { readSavedJson } from '../checkpoint/saved-json.ts';
import { oneOf } from '../config/conditions.ts';
import { loadConversationTokenizer } from '../data/conversation-tokenizer.ts';
import { answerPrompts } from '../evaluation/exact-match.ts';
import { untouchedKtoLoss } from '../losses/kto.ts';
import { preferenceLossKinds, scoreOf, untouchedLoss } from '../losses/preference.ts';
import { releaseModel } from '../model/model.ts';
import { parameterCount } from '../model/parameters.ts';
import { nextMicroBatches } from '../training/language-model.ts';
import { trainingMemory } from '../training/memory.ts';
import { update } from '../training/optimizer.ts';
import { totalStepsOf, trainingOptions } from '../training/options.ts';
import { evaluatePairs, type PreferenceReport, pairMetrics, preferenceStep } from '../training/preference.ts';
import {
  assertUntouchedPolicy,
  newWatch,
  type PreferenceWatch,
  watchSchema,
  watchStep,
} from '../training/preference-checks.ts';
import { assertSameWeights, weightsChecksum } from '../training/rollout-checks.ts';
import {
  loadTrainingState,
  newTrainingState,
  releaseTrainingState,
  saveTrainingState,
  type TrainingState,
} from '../training/state.ts';
import { evaluateAnswers, ktoStep } from '../training/unpaired.ts';
import { largestBatch } from '../training/upcoming.ts';
import { openPreferences, type PreferenceData } from './preference-data.ts';
import { sampleCount } from './samples.ts';
import { conversationOptions } from './sft.ts';
import type { Metrics, Stage, StageRun, StepRecord } from './stage.ts';

/** Losses of how much likelier answers are than under a reference. */
const referenced = preferenceLossKinds.filter((loss) => scoreOf[loss].reference);

export const dpoSchema = z
  .strictObject({
    from: z.string().describe('model to align: a stage or a Hugging Face directory'),
    reference: z
      .string()
      .optional()
      .describe('reference model of the policy; by default, `from`')
      .meta({ condition: oneOf('loss', ...referenced) }),
    data: z.string().describe('preference pairs; for `kto` also single answers with a label'),
    loss: z
      .enum(preferenceLossKinds)
      .default('dpo')
      .describe('loss to minimise; `kto` takes single answers, `orpo` and `simpo` have no reference'),
    beta: z
      .number()
      .positive()
      .optional()
      .describe(
        'how strongly the policy is tied to the reference; for `orpo` the weight of the odds ratio, for `simpo` the scale of the scores (0.1; `simpo` 2)',
      ),
    labelSmoothing: z
      .number()
      .min(0)
      .lt(0.5)
      .default(0)
      .describe('share of pairs assumed to be swapped (cDPO)')
      .meta({ condition: oneOf('loss', 'dpo') }),
    gamma: z
      .number()
      .nonnegative()
      .default(0.5)
      .describe('margin by which the chosen answer should score higher')
      .meta({ condition: oneOf('loss', 'simpo') }),
    desirableWeight: z
      .number()
      .positive()
      .default(1)
      .describe('weight of a wanted answer')
      .meta({ condition: oneOf('loss', 'kto') }),
    undesirableWeight: z
      .number()
      .positive()
      .default(1)
      .describe('weight of an unwanted answer')
      .meta({ condition: oneOf('loss', 'kto') }),
    nllWeight: z
      .number()
      .nonnegative()
      .optional()
      .describe('weight of the cross-entropy of chosen answers, added to the loss (0; `orpo` 1)'),
    sinkingSteps: z
      .int()
      .nonnegative()
      .default(20)
      .describe('warn after this many consecutive steps with chosen answers less likely than at first; 0 = never'),
    ...conversationOptions,
    ...trainingOptions({ epochs: 1, batchSize: 8, lr: 1e-5, warmup: 0.1, weightDecay: 0 }),
  })
  .superRefine((keys, context) => {
    if (keys.loss === 'kto' && keys.batchSize * keys.accumulate < 2) {
      const hint = 'set `batchSize` to 2 or more';
      const message = '`kto` estimates the KL from mismatched answers, which a step of one answer does not have';
      context.addIssue({ code: 'custom', path: ['batchSize'], message, params: { hint } });
    }
  })
  .transform((keys) => ({
    ...keys,
    beta: keys.beta ?? (keys.loss === 'simpo' ? 2 : 0.1),
    nllWeight: keys.nllWeight ?? (keys.loss === 'orpo' ? 1 : 0),
  }));

export type DpoConfig = z.infer<typeof dpoSchema>;

export interface DpoState extends TrainingState {
  data: PreferenceData;
  watch: PreferenceWatch;
}

/**
 * Alignment to preferences without a reward model: DPO (Rafailov et al. 2023) of a policy against its frozen starting
 * point, and the losses that came after it.
 */
export async function* dpo(
  config: DpoConfig,
  state: DpoState,
  { log }: Pick<StageRun, 'log'>,
): AsyncGenerator<StepRecord, { steps: number }> {
  const { optimizer, data, watch } = state;
  const totalSteps = totalStepsOf(config, data.train.length);

  while (optimizer.step < totalSteps) {
    const report = await preferenceLoss(config, state);
    if (optimizer.step === 0 && startsAtReference(config)) checkFirstLoss(report, state);
    for (const warning of watchStep(watch, report, config)) log(`warning: ${warning}`);
    const { learningRate, gradientNorm } = await update(optimizer, config, totalSteps);
    const { loss, metrics, tokens } = report;
    yield { step: optimizer.step, totalSteps, ...metrics, loss, learningRate, gradientNorm, tokens };
  }
  if (data.kind === 'answers') assertSameWeights(data.referenceChecksum, await weightsChecksum(data.reference));
  return { steps: optimizer.step };
}

function preferenceLoss(config: DpoConfig, { optimizer, cursor, data }: DpoState): Promise<PreferenceReport> {
  return data.kind === 'pairs'
    ? preferenceStep(optimizer, nextMicroBatches(cursor, data.train, config), data.objective)
    : ktoStep(optimizer, nextMicroBatches(cursor, data.train, config), data.reference, data.objective);
}

const startsAtReference = ({ loss, reference }: DpoConfig) => scoreOf[loss].reference && reference === undefined;

function checkFirstLoss(report: PreferenceReport, { data, optimizer }: DpoState): void {
  const expected =
    data.kind === 'pairs'
      ? untouchedLoss(data.objective)!
      : untouchedKtoLoss(
          report.answers.map(({ desirable }) => desirable),
          data.objective,
        );
  const { nllWeight } = data.objective;
  assertUntouchedPolicy(report, { expected, nllWeight }, optimizer.model.backend.precision);
}

const watchFile = 'watch.json';

export const dpoStage: Stage<DpoConfig, DpoState> = {
  name: 'dpo',
  summary: 'align a model to preferences, without a reward model',
  schema: dpoSchema,
  inputs: { from: { kind: 'model' }, reference: { kind: 'model', optional: true } },
  result: 'model',
  datasets: { data: { use: ({ loss }) => (loss === 'kto' ? 'feedback' : 'preference') } },
  async open(config, run, from) {
    const start = run.inputs.from![0]!.directory;
    const tokenizer = await loadConversationTokenizer(start, run.log);
    const data = await openPreferences(config, run, tokenizer);
    const place = { rows: data.train.length, seed: run.seed, recompute: config.recompute, ranks: run.ranks };
    const training = from
      ? await loadTrainingState(from, run.backend, place, tokenizer)
      : newTrainingState((await loadModel(start, run.backend)).model, place, tokenizer);
    const watch = from ? await readSavedJson(join(from, watchFile), watchSchema) : newWatch();
    return { ...training, data, watch };
  },
  outlook(config, { optimizer, cursor, data }) {
    const steps = totalStepsOf(config, data.train.length);
    const tokensOf = (row: (typeof data.train)[number]) =>
      'chosen' in row ? row.chosen.tokens.length + row.rejected.tokens.length : row.tokens.length;
    const tokens = largestBatch<(typeof data.train)[number]>(cursor, data.train, config, { steps, tokensOf });
    const readParameters = data.kind === 'answers' ? parameterCount(data.reference.config) : 0;
    return { steps, ...trainingMemory(optimizer.model, { ...config, tokens, readParameters }) };
  },
  run: dpo,
  async save(state, directory) {
    await saveTrainingState(state, directory);
    await writeFile(join(directory, watchFile), `${JSON.stringify(state.watch)}\n`);
  },
  finish: (_config, { optimizer, tokenizer }, directory) => saveModel(directory, optimizer.model, { tokenizer }),
  async evaluate(_config, { optimizer: { model }, data }): Promise<Metrics> {
    if (data.heldOut.length === 0) return {};
    const { loss, metrics } =
      data.kind === 'pairs'
        ? await evaluatePairs(model, data.heldOut, data.objective)
        : await evaluateAnswers(model, data.heldOut, data.reference, data.objective);
    return { loss, ...metrics };
  },
  heldOut: ({ loss }) => ['loss', ...pairMetrics, ...(loss === 'kto' ? (['kl'] as const) : [])],
  sample: (_config, { optimizer, tokenizer, data }) =>
    answerPrompts(optimizer.model, tokenizer, data.prompts.slice(0, sampleCount), { maxNewTokens: 48 }),
  close(state) {
    releaseTrainingState(state);
    if (state.data.kind === 'answers') releaseModel(state.data.reference);
  },
};
