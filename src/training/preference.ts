import { packSequences, trainedTokensOf } from '../data/batch.ts';
import type { EncodedPair } from '../data/encode.ts';
import { type PairLoss, pairLoss, scoreOf } from '../losses/preference.ts';
import type { Model } from '../model/model.ts';
import { add, mul, reshape, slice, sub, sum } from '../tensor/primitives.ts';
import { fromHost, scope } from '../tensor/scope.ts';
import type { Tensor } from '../tensor/tensor.ts';
import type { Optimizer } from './optimizer.ts';
import { logLikelihoods, sequenceLogProbs } from './sequence-log-probs.ts';
import { backwardFromLoss, gradientOf } from './window.ts';

/** A pair with log π_ref of its two answers, in nats; 0 if the loss has no reference. */
export interface ReferencedPair extends EncodedPair {
  reference: { chosen: number; rejected: number };
}

export interface PairObjective extends PairLoss {
  /** Weight of the cross-entropy of the chosen answers, which is added to the loss. */
  nllWeight: number;
}

/** An answer of a step, with its log-probabilities in nats. */
export interface JudgedAnswer {
  desirable: boolean;
  /** Number of trained tokens. */
  tokens: number;
  /** log π, summed over the trained tokens. */
  logProb: number;
  /** log π_ref, summed likewise; 0 if the loss has no reference. */
  reference: number;
}

/** Names of the metrics of pairs. */
export const pairMetrics = [
  'accuracy',
  'margin',
  'chosenReward',
  'rejectedReward',
  'chosenLogProb',
  'rejectedLogProb',
  'nll',
] as const;

export type PreferenceMetric = (typeof pairMetrics)[number] | 'kl';

/** Metrics of a step. Margins can grow while both log-probabilities fall, so the latter are listed separately. */
export type PreferenceMetrics = Partial<Record<PreferenceMetric, number>>;

export interface PreferenceReport {
  loss: number;
  metrics: PreferenceMetrics;
  /** All answers of the step; for pairs, chosen and rejected alternate. */
  answers: readonly JudgedAnswer[];
  tokens: number;
}

/**
 * Mean loss of an accumulation window of pairs, [pairs] in micro-batches. Adds the gradient to the optimiser's. Each
 * pair has the same weight, as has each token of the cross-entropy, whichever micro-batch it is in.
 */
export async function preferenceStep(
  optimizer: Optimizer,
  microBatches: readonly (readonly ReferencedPair[])[],
  objective: PairObjective,
): Promise<PreferenceReport> {
  const window = microBatches.flat();
  const share = sharesOf(window, objective);
  const { loss, ...logProbs } = await gradientOf(optimizer, microBatches, (batch, tape) =>
    backwardFromLoss(tape, () => {
      const policy = pairLogProbs(optimizer.model, batch);
      return { loss: windowLoss(policy, batch, objective, share), ...policy };
    }),
  );
  return pairReport(loss, logProbs, window, objective);
}

/** Mean loss of any number of pairs, without gradients. */
export async function evaluatePairs(
  model: Model,
  pairs: readonly ReferencedPair[],
  objective: PairObjective,
): Promise<PreferenceReport> {
  const side = (name: 'chosen' | 'rejected') =>
    logLikelihoods(
      model,
      pairs.map((pair) => pair[name]),
    );
  const logProbs = { chosen: await side('chosen'), rejected: await side('rejected') };
  const onDevice = (values: readonly number[]) => fromHost(model.backend, Float64Array.from(values));
  const loss = scope(
    () => {
      const policy = { chosen: onDevice(logProbs.chosen), rejected: onDevice(logProbs.rejected) };
      return windowLoss(policy, pairs, objective, sharesOf(pairs, objective));
    },
    { adopt: false },
  );
  return pairReport((await readAndRelease(loss))[0]!, logProbs, pairs, objective);
}

/** The weights of a pair, and of a token of a chosen answer, in the loss of a window. */
function sharesOf(window: readonly EncodedPair[], { nllWeight }: PairObjective): { pair: number; token: number } {
  const chosenTokens = window.reduce((total, { chosen }) => total + trainedTokensOf(chosen), 0);
  return { pair: 1 / window.length, token: nllWeight / chosenTokens };
}

/** The contribution of these pairs to the loss of the window, [1]. */
function windowLoss(
  policy: { chosen: Tensor; rejected: Tensor },
  pairs: readonly ReferencedPair[],
  objective: PairObjective,
  share: { pair: number; token: number },
): Tensor {
  const scores = (side: 'chosen' | 'rejected'): Tensor => {
    const { backend } = policy[side];
    const scale = (pair: ReferencedPair): number =>
      scoreOf[objective.loss].perToken ? 1 / trainedTokensOf(pair[side]) : 1;
    const reference = fromHost(
      backend,
      Float64Array.from(pairs, (pair) => pair.reference[side]),
    );
    return mul(sub(policy[side], reference), fromHost(backend, Float64Array.from(pairs, scale)));
  };
  const preference = mul(sum(pairLoss(scores('chosen'), scores('rejected'), objective)), share.pair);
  const loss = share.token === 0 ? preference : add(preference, mul(sum(policy.chosen), -share.token));
  return reshape(loss, [1]);
}

/** Log-probabilities of the answers of a batch of pairs, from one forward pass, each [pairs]. */
function pairLogProbs(model: Model, pairs: readonly EncodedPair[]): { chosen: Tensor; rejected: Tensor } {
  const batch = packSequences([...pairs.map(({ chosen }) => chosen), ...pairs.map(({ rejected }) => rejected)]);
  const logProbs = sequenceLogProbs(model, batch);
  return { chosen: slice(logProbs, 0, 0, pairs.length), rejected: slice(logProbs, 0, pairs.length, pairs.length) };
}

function pairReport(
  loss: number,
  policy: { chosen: readonly number[]; rejected: readonly number[] },
  pairs: readonly ReferencedPair[],
  objective: PairObjective,
): PreferenceReport {
  const judged = (side: 'chosen' | 'rejected', i: number): JudgedAnswer => ({
    desirable: side === 'chosen',
    tokens: trainedTokensOf(pairs[i]![side]),
    logProb: policy[side][i]!,
    reference: pairs[i]!.reference[side],
  });
  const answers = pairs.flatMap((_, i) => [judged('chosen', i), judged('rejected', i)]);
  const rewards = rewardsOf(answers, objective);
  const ahead = pairs.map((_, i) => rewards[2 * i]! - rewards[2 * i + 1]!);
  const accuracy = mean(ahead.map((difference) => (difference > 0 ? 1 : difference === 0 ? 0.5 : 0)));
  const tokens = pairs.reduce(
    (total, { chosen, rejected }) => total + chosen.tokens.length + rejected.tokens.length,
    0,
  );
  return { loss, metrics: { accuracy, ...preferenceMetrics(answers, objective) }, answers, tokens };
}

/** The implicit reward of each answer: β times its score (Rafailov et al. 2023, eq. 5). */
export function rewardsOf(
  answers: readonly JudgedAnswer[],
  { loss, beta }: { loss: keyof typeof scoreOf; beta: number },
): number[] {
  // IPO compares means per token, but its reward is that of the whole answer, as in DPO.
  const perToken = !scoreOf[loss].reference;
  return answers.map(({ logProb, reference, tokens }) => (beta * (logProb - reference)) / (perToken ? tokens : 1));
}

/** Means over the desirable and over the other answers; metrics without any answer in the window are left out. */
export function preferenceMetrics(
  answers: readonly JudgedAnswer[],
  objective: { loss: keyof typeof scoreOf; beta: number },
): PreferenceMetrics {
  const rewards = rewardsOf(answers, objective);
  const judged = answers.map((answer, i) => ({ ...answer, reward: rewards[i]! }));
  const meansOf = (wanted: boolean) => {
    const these = judged.filter(({ desirable }) => desirable === wanted);
    const meanOf = (name: 'reward' | 'logProb' | 'tokens') => mean(these.map((answer) => answer[name]));
    return these.length === 0
      ? undefined
      : { reward: meanOf('reward'), logProb: meanOf('logProb'), tokens: meanOf('tokens') };
  };
  const [chosen, rejected] = [meansOf(true), meansOf(false)];
  return {
    ...(chosen && rejected && { margin: chosen.reward - rejected.reward }),
    ...(chosen && { chosenReward: chosen.reward, chosenLogProb: chosen.logProb, nll: -chosen.logProb / chosen.tokens }),
    ...(rejected && { rejectedReward: rejected.reward, rejectedLogProb: rejected.logProb }),
  };
}

/** Reads a tensor and releases it. */
export async function readAndRelease(x: Tensor): Promise<number[]> {
  const values = await x.backend.read(x);
  x.release();
  return Array.from(values);
}

function mean(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0) / values.length;
}
