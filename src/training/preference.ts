import { packSequences } from '../data/batch.ts';
import type { EncodedPair } from '../data/encode.ts';
import { RunError } from '../errors.ts';
import { type PreferenceLoss, preferenceLoss, untouchedLoss } from '../losses/preference.ts';
import type { Model } from '../model/model.ts';
import { mul, reshape, slice, sub, sum } from '../tensor/primitives.ts';
import { fromHost, scope } from '../tensor/scope.ts';
import { Tape } from '../tensor/tape.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { sumOnHost } from './language-model.ts';
import { leavesOf, type Optimizer } from './optimizer.ts';
import { sequenceLogProbs } from './sequence-log-probs.ts';

/** log p of the chosen and the rejected answer of each pair, summed over the answer's tokens. */
export interface PairLogProbs {
  chosen: ArrayLike<number>;
  rejected: ArrayLike<number>;
}

/** A pair and what the reference model makes of it. */
export interface ReferencedPair extends EncodedPair {
  reference: { chosen: number; rejected: number };
}

/** What is worth watching: margins can grow while both log-probabilities sink, so these stand apart. */
export type PreferenceMetrics = Record<
  'loss' | 'accuracy' | 'margin' | 'chosenReward' | 'rejectedReward' | 'chosenLogProb' | 'rejectedLogProb',
  number
>;

/**
 * Mean loss of an accumulation window of pairs, and its metrics. Adds the gradient to the optimiser's; each pair counts
 * the same, in whichever micro-batch it is.
 */
export async function preferenceStep(
  optimizer: Optimizer,
  microBatches: readonly (readonly ReferencedPair[])[],
  config: PreferenceLoss,
): Promise<{ loss: number; metrics: PreferenceMetrics; tokens: number }> {
  const pairs = microBatches.flat();
  const losses: Tensor[] = [];
  const policy = { chosen: [] as number[], rejected: [] as number[] };
  for (const batch of microBatches) {
    const tape = new Tape(leavesOf(optimizer));
    const [loss, chosen, rejected] = tape.record((): [Tensor, Tensor, Tensor] => {
      const logProbs = pairLogProbs(optimizer.model, batch);
      const pairLosses = preferenceLoss(preferenceMargin(logProbs, referenceOf(batch)), config);
      return [reshape(mul(sum(pairLosses), 1 / pairs.length), [1]), logProbs.chosen, logProbs.rejected];
    });
    tape.backward(loss);
    losses.push(loss);
    policy.chosen.push(...(await readAndRelease(chosen)));
    policy.rejected.push(...(await readAndRelease(rejected)));
  }
  const loss = await sumOnHost(losses, optimizer.step + 1);
  const tokens = pairs.reduce(
    (total, { chosen, rejected }) => total + chosen.tokens.length + rejected.tokens.length,
    0,
  );
  return { loss, metrics: preferenceMetrics(policy, referenceOf(pairs), config), tokens };
}

/**
 * Before the first update policy and reference are the same model: the loss is ln 2 (`dpo`) and all rewards are 0. If not,
 * masks, data or reference log-probabilities are wrong, and training on would only hide it.
 */
export function assertUntouchedPolicy(loss: number, metrics: PreferenceMetrics, config: PreferenceLoss): void {
  const expected = untouchedLoss(config);
  const tolerance = 1e-3;
  const reward = Math.max(Math.abs(metrics.chosenReward), Math.abs(metrics.rejectedReward));
  if (Math.abs(loss - expected) <= tolerance * Math.max(1, expected) && reward <= tolerance) return;
  throw new RunError(
    `at step 1 the policy is the reference, so the loss must be ${expected.toFixed(4)} and rewards 0; they are ${loss.toFixed(4)} and ${reward.toFixed(4)}`,
    { hint: 'delete the cached reference log-probabilities (cache/) of this node and run it again' },
  );
}

/** log-probabilities of a batch of pairs in one forward pass, each [pairs]. */
export function pairLogProbs(model: Model, pairs: readonly EncodedPair[]): { chosen: Tensor; rejected: Tensor } {
  const batch = packSequences([...pairs.map(({ chosen }) => chosen), ...pairs.map(({ rejected }) => rejected)]);
  const logProbs = sequenceLogProbs(model, batch);
  return { chosen: slice(logProbs, 0, 0, pairs.length), rejected: slice(logProbs, 0, pairs.length, pairs.length) };
}

/** The log-probabilities of all pairs on the host, without gradients; `pairsAtOnce` pairs in a pass. */
export async function allPairLogProbs(
  model: Model,
  pairs: readonly EncodedPair[],
  pairsAtOnce = 16,
): Promise<{ chosen: number[]; rejected: number[] }> {
  const result = { chosen: [] as number[], rejected: [] as number[] };
  for (let first = 0; first < pairs.length; first += pairsAtOnce) {
    const [chosen, rejected] = scope(
      (): [Tensor, Tensor] => {
        const logProbs = pairLogProbs(model, pairs.slice(first, first + pairsAtOnce));
        return [logProbs.chosen, logProbs.rejected];
      },
      { adopt: false },
    );
    result.chosen.push(...(await readAndRelease(chosen)));
    result.rejected.push(...(await readAndRelease(rejected)));
  }
  return result;
}

/** h = (log π(y_w) − log π(y_l)) − (log π_ref(y_w) − log π_ref(y_l)), [pairs]. */
export function preferenceMargin(policy: { chosen: Tensor; rejected: Tensor }, reference: PairLogProbs): Tensor {
  const referenceMargin = Float64Array.from(reference.chosen, (chosen, i) => chosen - reference.rejected[i]!);
  return sub(sub(policy.chosen, policy.rejected), fromHost(policy.chosen.backend, referenceMargin));
}

/** Means over pairs; rewards are β · (log π − log π_ref), accuracy is the share of pairs with the larger one chosen. */
export function preferenceMetrics(
  policy: PairLogProbs,
  reference: PairLogProbs,
  { loss, beta, labelSmoothing }: PreferenceLoss,
): PreferenceMetrics {
  const count = policy.chosen.length;
  const mean = (value: (i: number) => number): number =>
    Array.from({ length: count }, (_, i) => value(i)).reduce((a, b) => a + b, 0) / count;
  const reward = (side: 'chosen' | 'rejected') => (i: number) => beta * (policy[side][i]! - reference[side][i]!);
  const [chosenReward, rejectedReward] = [reward('chosen'), reward('rejected')];
  const margin = (i: number): number => (chosenReward(i) - rejectedReward(i)) / beta;
  return {
    loss: mean((i) => hostPreferenceLoss(margin(i), { loss, beta, labelSmoothing })),
    accuracy: mean((i) => (margin(i) > 0 ? 1 : margin(i) === 0 ? 0.5 : 0)),
    margin: mean((i) => beta * margin(i)),
    chosenReward: mean(chosenReward),
    rejectedReward: mean(rejectedReward),
    chosenLogProb: mean((i) => policy.chosen[i]!),
    rejectedLogProb: mean((i) => policy.rejected[i]!),
  };
}

/** `preferenceLoss` of one pair on the host. */
function hostPreferenceLoss(margin: number, { loss, beta, labelSmoothing }: PreferenceLoss): number {
  const softplus = (x: number): number => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
  switch (loss) {
    case 'dpo':
      return (1 - labelSmoothing) * softplus(-beta * margin) + labelSmoothing * softplus(beta * margin);
    case 'ipo':
      return (margin - 1 / (2 * beta)) ** 2;
    case 'hinge':
      return Math.max(0, 1 - beta * margin);
  }
}

function referenceOf(pairs: readonly ReferencedPair[]): PairLogProbs {
  return {
    chosen: pairs.map(({ reference }) => reference.chosen),
    rejected: pairs.map(({ reference }) => reference.rejected),
  };
}

async function readAndRelease(x: Tensor): Promise<number[]> {
  const values = await x.backend.read(x);
  x.release();
  return Array.from(values);
}
