import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { loadModel, saveModel } from '../checkpoint/load-model.ts';
import { readSavedJson } from '../checkpoint/saved-json.ts';
import { loadConversationTokenizer } from '../data/conversation-tokenizer.ts';
import { answerPrompts } from '../evaluation/exact-match.ts';
import type { Metrics } from '../evaluation/metrics.ts';
import { sampleCount } from '../evaluation/samples.ts';
import { untouchedKtoLoss } from '../losses/kto.ts';
import { scoreOf, untouchedLoss } from '../losses/preference.ts';
import { releaseModel } from '../model/model.ts';
import { parameterCount } from '../model/parameters.ts';
import { spend } from '../training/budget.ts';
import { nextMicroBatches } from '../training/language-model.ts';
import { trainingMemory } from '../training/memory.ts';
import { update } from '../training/optimizer.ts';
import { totalStepsOf } from '../training/options.ts';
import { evaluatePairs, type PreferenceReport, pairMetrics, preferenceStep } from '../training/preference.ts';
import {
  assertUntouchedPolicy,
  newWatch,
  type PreferenceWatch,
  watchSchema,
  watchStep,
} from '../training/preference-checks.ts';
import { openPreferences, type PreferenceData } from '../training/preference-data.ts';
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
import { type DpoConfig, dpoSchema } from './dpo-schema.ts';
import type { Stage, StageRun, StepRecord } from './stage.ts';

export interface DpoState extends TrainingState {
  data: PreferenceData;
  watch: PreferenceWatch;
}

/**
 * Alignment to preferences without a reward model: DPO (Rafailov et al. 2023) of a policy against its frozen starting
 * point, and later losses of the same kind.
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

function preferenceLoss(config: DpoConfig, state: DpoState): Promise<PreferenceReport> {
  const { optimizer, cursor, data } = state;
  if (data.kind === 'pairs') {
    const pairs = nextMicroBatches(cursor, data.train, config);
    spend(
      state,
      pairs.flat().flatMap(({ chosen, rejected }) => [chosen, rejected]),
    );
    return preferenceStep(optimizer, pairs, data.objective);
  }
  const answers = nextMicroBatches(cursor, data.train, config);
  spend(state, answers.flat(), [Uint8Array.from(answers.flat(), ({ desirable }) => Number(desirable))]);
  return ktoStep(optimizer, answers, data.reference, data.objective);
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
  isRandom: true,
  readsOnOpen: true,
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
  budget: ({ budget }) => budget,
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
