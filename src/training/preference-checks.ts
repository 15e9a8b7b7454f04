import { RunError } from '../errors.ts';
import { type PreferenceLossKind, scoreOf } from '../losses/preference.ts';
import type { Precision } from '../tensor/backends/backend.ts';
import type { JudgedAnswer, PreferenceReport } from './preference.ts';
import { tolerances } from './rollout-checks.ts';

/**
 * Before the first update the policy is the reference: every answer has the same log-probability under both, and the loss
 * is one that is known, ln 2 for DPO. If not, reference or loss are wrong, and training on would only hide it.
 */
export function assertUntouchedPolicy(
  { loss, metrics, answers }: PreferenceReport,
  { expected, nllWeight }: { expected: number; nllWeight: number },
  precision: Precision,
): void {
  const distance = answers
    .map(({ logProb, reference, tokens }) => Math.abs(logProb - reference) / tokens)
    .reduce((a, b) => Math.max(a, b), 0);
  if (!(distance <= tolerances[precision])) {
    throw new RunError(
      `before the first update the policy is the reference, but their log-probabilities of an answer differ by ${distance.toPrecision(3)} a token`,
      {
        hint: 'the reference log-probabilities are of other weights, or of other tokens; run the stage from the beginning',
      },
    );
  }
  const preference = loss - nllWeight * (metrics.nll ?? 0);
  if (Math.abs(preference - expected) <= 10 * tolerances[precision] * Math.max(1, expected)) return;
  throw new RunError(
    `before the first update the policy is the reference, so the loss must be ${expected.toFixed(4)}; it is ${preference.toFixed(4)}`,
    { hint: 'log-probabilities agree, so the loss is not the one that is meant' },
  );
}

/** What is watched over the steps; plain numbers, which are saved with the state. */
export interface PreferenceWatch {
  /** Steps seen, and the sum of their chosen rewards up to step `sinkingSteps`. */
  steps: number;
  firstRewards: number;
  /** Steps in a row whose chosen reward was below where it began. */
  sunk: number;
  /** Steps in a row without any difference from the reference. */
  still: number;
  /** Pairs seen, and those of them whose chosen answer was the likelier one per token. */
  pairs: number;
  likelier: number;
  /** What was said already. */
  told: string[];
}

export const newWatch = (): PreferenceWatch => ({
  steps: 0,
  firstRewards: 0,
  sunk: 0,
  still: 0,
  pairs: 0,
  likelier: 0,
  told: [],
});

/** Pairs by which it is judged whether chosen and rejected are the wrong way round, and the share that is too small to be chance. */
const judgedPairs = 64;
const swappedShare = 0.25;
const stillSteps = 10;

/** Counts a step, and returns what is to be said about it; each thing is said once. */
export function watchStep(
  watch: PreferenceWatch,
  { metrics, answers }: PreferenceReport,
  { loss, sinkingSteps }: { loss: PreferenceLossKind; sinkingSteps: number },
): string[] {
  watch.steps++;
  const found = [
    swapped(watch, loss === 'kto' ? [] : answers),
    sinking(watch, metrics.chosenReward, { hasReference: scoreOf[loss].reference, sinkingSteps }),
    scoreOf[loss].reference ? still(watch, answers) : undefined,
  ];
  const news = found.filter((sentence) => sentence !== undefined && !watch.told.includes(sentence[0]));
  watch.told.push(...news.map((sentence) => sentence![0]));
  return news.map((sentence) => sentence![1]);
}

type Warning = [cause: string, sentence: string] | undefined;

/** A model that was trained on answers like the chosen ones does not find most of the rejected ones likelier. */
function swapped(watch: PreferenceWatch, answers: readonly JudgedAnswer[]): Warning {
  const perToken = answers.map(({ logProb, tokens }) => logProb / tokens);
  for (let i = 0; i < answers.length && watch.pairs < judgedPairs; i += 2) {
    watch.pairs++;
    watch.likelier += Number(perToken[i]! > perToken[i + 1]!);
  }
  if (watch.pairs < judgedPairs || watch.likelier >= swappedShare * judgedPairs) return undefined;
  const rejected = judgedPairs - watch.likelier;
  return [
    'swapped',
    `the model finds the rejected answer likelier (per token) in ${rejected} of the first ${judgedPairs} pairs: chosen and rejected may be swapped in the data; it is also so where the rejected answers are the model's own`,
  ];
}

/**
 * With a reference, a chosen reward below 0 says that chosen answers have become less likely than they were. Without one,
 * the mean of the first steps is what later ones are compared with.
 */
function sinking(
  watch: PreferenceWatch,
  chosenReward: number | undefined,
  { hasReference, sinkingSteps }: { hasReference: boolean; sinkingSteps: number },
): Warning {
  if (sinkingSteps === 0 || chosenReward === undefined) return undefined;
  const isFirst = watch.steps <= sinkingSteps;
  if (isFirst) watch.firstRewards += chosenReward / sinkingSteps;
  if (!hasReference && isFirst) return undefined;
  const beginning = hasReference ? 0 : watch.firstRewards;
  watch.sunk = chosenReward < beginning ? watch.sunk + 1 : 0;
  if (watch.sunk < sinkingSteps) return undefined;
  return [
    'sinking',
    `for ${sinkingSteps} steps chosen answers have been less likely than ${hasReference ? 'under the reference' : 'in the first steps'}: both answers sink, and text may degenerate; lower lr, raise beta or set nllWeight`,
  ];
}

/** A policy that is the reference for ever: rates too small for the precision of weights, or memory that the two share. */
function still(watch: PreferenceWatch, answers: readonly JudgedAnswer[]): Warning {
  watch.still = answers.every(({ logProb, reference }) => logProb === reference) ? watch.still + 1 : 0;
  if (watch.still < stillSteps) return undefined;
  return ['still', `after ${stillSteps} steps the policy still is the reference to the last digit: raise lr`];
}
