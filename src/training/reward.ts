import type { RewardModel } from '../checkpoint/reward-model.ts';
import { groupsOfTokens, packWholeTexts } from '../data/batch.ts';
import { checkContext } from '../data/context.ts';
import type { EncodedPair, EncodedSequence } from '../data/encode.ts';
import { notFinite } from '../errors.ts';
import { bradleyTerryLoss, type ScoredPair } from '../losses/bradley-terry.ts';
import { hiddenStates, type Model, scoreHeadOf } from '../model/model.ts';
import { scores } from '../model/score-head.ts';
import { gather } from '../tensor/primitives.ts';
import { fromHost, scope } from '../tensor/scope.ts';
import type { Tensor } from '../tensor/tensor.ts';
import type { Optimizer } from './optimizer.ts';
import { backwardFromLoss, gradientOf } from './window.ts';

/** The answers to one prompt, each with the prompt before it, and which of them were preferred to which. */
export interface Comparison {
  texts: Int32Array[];
  /** Indices into `texts`. */
  pairs: { better: number; worse: number }[];
}

export interface RewardLoss {
  /** Margin by which the preferred answer should score higher. */
  margin: number;
  /** Weight of the term that keeps scores near 0. */
  centring: number;
}

/** Means over the pairs of a step. Scores are those of the head, without the reward model's offset. */
export type RewardMetrics = Record<'accuracy' | 'margin' | 'chosenScore' | 'rejectedScore', number>;

/**
 * Joins all pairs of a prompt into one comparison, in the order in which prompts first occur. Each answer is then
 * scored once for all its pairs, and each prompt has the same weight however many pairs it has (Ouyang et al. 2022,
 * section 3.5).
 */
export function comparisonsOf(pairs: readonly EncodedPair[]): Comparison[] {
  const comparisons = new Map<string, Comparison>();
  const known = new Map<string, number>();
  for (const { chosen, rejected } of pairs) {
    const prompt = chosen.tokens.subarray(0, chosen.trained.indexOf(1)).join();
    const comparison: Comparison = comparisons.get(prompt) ?? { texts: [], pairs: [] };
    comparisons.set(prompt, comparison);
    const indexOf = (sequence: EncodedSequence): number => {
      const text = scoredText(sequence);
      const key = `${prompt} ${text.join()}`;
      const index = known.get(key) ?? comparison.texts.push(text) - 1;
      known.set(key, index);
      return index;
    };
    comparison.pairs.push({ better: indexOf(chosen), worse: indexOf(rejected) });
  }
  return [...comparisons.values()];
}

/** A conversation up to the token that ends its last answer, where a policy stops too; what a template adds is cut. */
export function scoredText({ tokens, trained }: EncodedSequence): Int32Array {
  return tokens.subarray(0, trained.lastIndexOf(1) + 1);
}

/**
 * Mean Bradley–Terry loss of an accumulation window of comparisons, and its metrics. Adds the gradient to the
 * optimiser's. Each prompt has the same weight, whichever micro-batch it is in.
 */
export async function rewardStep(
  optimizer: Optimizer,
  microBatches: readonly (readonly Comparison[])[],
  { margin, centring }: RewardLoss,
): Promise<{ loss: number; metrics: RewardMetrics; tokens: number }> {
  const window = microBatches.flat();
  const { loss, scored } = await gradientOf(optimizer, microBatches, (batch, tape) =>
    backwardFromLoss(tape, () => {
      const scored = lastTokenScores(optimizer.model, textsOf(batch));
      return { loss: bradleyTerryLoss(scored, pairsOf(batch, margin, window.length), centring), scored };
    }),
  );
  const pairs = pairsOf(window, margin, window.length).map(({ better, worse }) => ({
    chosen: scored[better]!,
    rejected: scored[worse]!,
  }));
  const tokens = textsOf(window).reduce((total, { length }) => total + length, 0);
  return { loss, metrics: rewardMetrics(pairs), tokens };
}

const textsOf = (comparisons: readonly Comparison[]): Int32Array[] => comparisons.flatMap(({ texts }) => texts);

function pairsOf(batch: readonly Comparison[], margin: number, prompts: number): ScoredPair[] {
  let start = 0;
  return batch.flatMap(({ texts, pairs }) => {
    const first = start;
    start += texts.length;
    const weight = 1 / (pairs.length * prompts);
    return pairs.map(({ better, worse }) => ({ better: first + better, worse: first + worse, margin, weight }));
  });
}

function rewardMetrics(pairs: readonly { chosen: number; rejected: number }[]): RewardMetrics {
  const mean = (value: (pair: { chosen: number; rejected: number }) => number): number =>
    pairs.reduce((total, pair) => total + value(pair), 0) / pairs.length;
  return {
    accuracy: mean(({ chosen, rejected }) => (chosen > rejected ? 1 : chosen === rejected ? 0.5 : 0)),
    margin: mean(({ chosen, rejected }) => chosen - rejected),
    chosenScore: mean(({ chosen }) => chosen),
    rejectedScore: mean(({ rejected }) => rejected),
  };
}

/** The score of each text, which the head computes from its last token, [texts]. */
export function lastTokenScores(model: Model, texts: readonly Int32Array[]): Tensor {
  const batch = packWholeTexts(texts);
  const last = batch.segments.subarray(1).map((end) => end - 1);
  return scores(gather(hiddenStates(model, batch), fromHost(model.backend, last)), scoreHeadOf(model));
}

/**
 * Rewards of whole texts (token ids, not empty): score + offset, with about `tokensAtOnce` tokens per pass.
 * @throws RequestError if a text is longer than the context of the reward model
 * @throws RunError if a score is not finite
 */
export async function rewardScores(
  { model, offset }: Pick<RewardModel, 'model' | 'offset'>,
  texts: readonly Int32Array[],
  tokensAtOnce = 4096,
): Promise<number[]> {
  const lengths = texts.map(({ length }) => length);
  checkContext(lengths, model.config.maxLength);
  const rewards: number[] = [];
  for (const group of groupsOfTokens(texts, tokensAtOnce, ({ length }) => length)) {
    const found = scope(() => lastTokenScores(model, group), { adopt: false });
    for (const score of await model.backend.read(found)) {
      if (!Number.isFinite(score)) throw notFinite(`the scores of text ${rewards.length + 1} are`);
      rewards.push(score + offset);
    }
    found.release();
  }
  return rewards;
}
