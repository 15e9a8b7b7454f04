import { z } from 'zod';
import { loadModel, saveModel } from '../checkpoint/load-model.ts';
import { openSplits } from '../data/dataset.ts';
import { checkTokenIds, type EncodedPair } from '../data/encode.ts';
import { describePreflight, encodePairs } from '../data/preflight.ts';
import type { PreferenceRow } from '../data/rows.ts';
import { answerPrompts } from '../evaluation/exact-match.ts';
import { preferenceLossKinds } from '../losses/preference.ts';
import { releaseModel } from '../model/model.ts';
import { loadTokenizer } from '../tokenizer/open.ts';
import { nextMicroBatches } from '../training/language-model.ts';
import { update } from '../training/optimizer.ts';
import { totalStepsOf, trainingOptions } from '../training/options.ts';
import {
  allPairLogProbs,
  assertUntouchedPolicy,
  type PairLogProbs,
  preferenceMetrics,
  preferenceStep,
  type ReferencedPair,
} from '../training/preference.ts';
import { referenceLogProbs } from '../training/reference.ts';
import {
  loadTrainingState,
  newTrainingState,
  releaseTrainingState,
  saveTrainingState,
  type TrainingState,
} from '../training/state.ts';
import { sampleCount } from './samples.ts';
import { conversationOptions } from './sft.ts';
import type { Metrics, Stage, StepRecord } from './stage.ts';

export const dpoSchema = z.strictObject({
  from: z.string().describe('policy and reference: a stage or a Hugging Face directory'),
  data: z.string().describe('preference pairs'),
  loss: z.enum(preferenceLossKinds).default('dpo').describe('loss of the margin'),
  beta: z.number().positive().default(0.1).describe('how strongly the policy is held to the reference'),
  labelSmoothing: z
    .number()
    .min(0)
    .lt(0.5)
    .default(0)
    .describe('share of pairs taken to be the wrong way round (cDPO)'),
  ...conversationOptions,
  ...trainingOptions({ epochs: 1, batchSize: 8, lr: 1e-5, warmup: 0.1, weightDecay: 0 }),
});

export type DpoConfig = z.infer<typeof dpoSchema>;

export interface DpoState extends TrainingState {
  /** Each with its log-probabilities under the reference. */
  pairs: readonly ReferencedPair[];
  heldOut: readonly EncodedPair[];
  heldOutReference: PairLogProbs;
  prompts: readonly PreferenceRow[];
}

/** Direct preference optimisation (Rafailov et al. 2023, eq. 7) of a policy against its frozen starting point. */
export async function* dpo(config: DpoConfig, state: DpoState): AsyncGenerator<StepRecord, { steps: number }> {
  const { optimizer, cursor, pairs } = state;
  const totalSteps = totalStepsOf(config, pairs.length);

  while (optimizer.step < totalSteps) {
    const microBatches = nextMicroBatches(cursor, pairs, config);
    const { loss, metrics, tokens } = await preferenceStep(optimizer, microBatches, config);
    if (optimizer.step === 0) assertUntouchedPolicy(loss, metrics, config);
    const { learningRate, gradientNorm } = await update(optimizer, config, totalSteps);
    yield { step: optimizer.step, totalSteps, ...metrics, loss, learningRate, gradientNorm, tokens };
  }
  return { steps: optimizer.step };
}

export const dpoStage: Stage<DpoConfig, DpoState> = {
  name: 'dpo',
  summary: 'align a model to preference pairs, without a reward model',
  schema: dpoSchema,
  inputs: { from: { kind: 'model' } },
  result: 'model',
  datasets: { data: { use: 'preference' } },
  async open(config, run, from) {
    const start = run.inputs.from![0]!.directory;
    const tokenizer = await loadTokenizer(start);
    const rows = await openSplits(config.data, 'preference', { ...run, holdOut: config.holdOut });
    const train = encodePairs(rows.train, tokenizer, config);
    run.log(`${config.data}: ${describePreflight(train.preflight)}`);
    const heldOut = encodePairs(rows.heldOut.slice(0, config.evalRows), tokenizer, {
      ...config,
      onTooLong: 'truncate',
    }).pairs;

    const { model: reference } = await loadModel(start, run.backend);
    const sequences = [...train.pairs, ...heldOut].flatMap(({ chosen, rejected }) => [chosen, rejected]);
    checkTokenIds(sequences, tokenizer, reference.config.vocabSize);
    const cache = { directory: run.directory, model: start, log: run.log };
    const pairs = withReference(train.pairs, await referenceLogProbs(reference, train.pairs, cache));
    const heldOutReference = await referenceLogProbs(reference, heldOut, cache);

    const data = { rows: pairs.length, seed: run.seed };
    if (!from)
      return {
        ...newTrainingState(reference, data, tokenizer),
        pairs,
        heldOut,
        heldOutReference,
        prompts: rows.heldOut,
      };
    releaseModel(reference);
    const training = await loadTrainingState(from, run.backend, data, tokenizer);
    return { ...training, pairs, heldOut, heldOutReference, prompts: rows.heldOut };
  },
  run: dpo,
  save: saveTrainingState,
  finish: (_config, { optimizer, tokenizer }, directory) => saveModel(directory, optimizer.model, { tokenizer }),
  async evaluate(config, { optimizer, heldOut, heldOutReference }): Promise<Metrics> {
    if (heldOut.length === 0) return {};
    const policy = await allPairLogProbs(optimizer.model, heldOut);
    return preferenceMetrics(policy, heldOutReference, config);
  },
  sample(_config, { optimizer, tokenizer, prompts }) {
    const rows = prompts.slice(0, sampleCount).map(({ prompt, chosen }) => ({ prompt, answer: chosen }));
    return answerPrompts(optimizer.model, tokenizer, rows, { maxNewTokens: 48 });
  },
  close: releaseTrainingState,
};

function withReference(pairs: readonly EncodedPair[], { chosen, rejected }: PairLogProbs): ReferencedPair[] {
  return pairs.map((pair, i) => ({ ...pair, reference: { chosen: chosen[i]!, rejected: rejected[i]! } }));
}
