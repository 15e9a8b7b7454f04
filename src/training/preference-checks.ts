import { z } from 'zod';
import { numberOrNaN } from '../checkpoint/saved-json.ts';
import { RunError } from '../errors.ts';
import { type PreferenceLossKind, scoreOf } from '../losses/preference.ts';
import type { Precision } from '../tensor/backends/backend.ts';
import type { JudgedAnswer, PreferenceReport } from './preference.ts';
import { tolerances } from './rollout-checks.ts';

/**
 * Checks that before the first update the policy equals the reference: every answer must have the same log-probability
 * under both, and the loss must have its known initial value, ln 2 for DPO. Otherwise the reference or the loss is
 * wrong, which further training would only hide.
 * @throws RunError
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
      `before the first update the policy is the reference, but their log-probabilities of an answer differ by ${distance.toPrecision(3)} per token`,
      {
        hint: 'the reference log-probabilities belong to other weights or other tokens; run the stage from the beginning',
      },
    );
  }
  const preference = loss - nllWeight * (metrics.nll ?? 0);
  if (Math.abs(preference - expected) <= 10 * tolerances[precision] * Math.max(1, expected)) return;
  throw new RunError(
    `before the first update the policy is the reference, so the loss must be ${expected.toFixed(4)}; it is ${preference.toFixed(4)}`,
    { hint: 'the log-probabilities agree, so the loss itself is wrong' },
  );
}

const count = z.int().nonnegative();

/** Statistics over the steps for warnings; saved with the state. */
export const watchSchema = z.strictObject({
  /** Steps with chosen answers. */
  steps: count,
  /** How many of these count as first steps, the baseline of losses without a reference. */
  firstSteps: count,
  /** Sum of the cross-entropies of the first steps. */
  firstNll: numberOrNaN,
  /** Consecutive steps whose chosen answers were less likely than at first. */
  sunk: count,
  /** Consecutive steps without any difference from the reference. */
  still: count,
  /** Pairs seen, up to `judgedPairs`. */
  pairs: count,
  /** Those of them whose chosen answer was the more likely one per token. */
  likelier: count,
  /** Causes of the warnings given so far. */
  told: z.array(z.string()),
});

export type PreferenceWatch = z.infer<typeof watchSchema>;

export const newWatch = (): PreferenceWatch => ({
  steps: 0,
  firstSteps: 0,
  firstNll: 0,
  sunk: 0,
  still: 0,
  pairs: 0,
  likelier: 0,
  told: [],
});

/**
 * Chosen and rejected seem swapped if, in this number of pairs, the chosen answer is more likely in a smaller fraction
 * than `swappedShare`, which is too small to be chance.
 */
const judgedPairs = 64;
const swappedShare = 0.25;
/** Fall of the chosen answers that is reported, in nats per token: 0.05 makes 100 tokens e⁵ times less likely. */
const noticedFall = 0.05;
const stillSteps = 10;

/** Counts a step and returns the warnings that it gives rise to; each warning is given only once. */
export function watchStep(
  watch: PreferenceWatch,
  { answers }: Pick<PreferenceReport, 'answers'>,
  { loss, sinkingSteps }: { loss: PreferenceLossKind; sinkingSteps: number },
): string[] {
  const { reference } = scoreOf[loss];
  const found = [
    swapped(watch, loss === 'kto' ? [] : answers),
    sinkingSteps === 0 ? undefined : sinking(watch, answers, { reference, sinkingSteps }),
    reference ? still(watch, answers) : undefined,
  ];
  const news = found.filter((warning) => warning !== undefined).filter(([cause]) => !watch.told.includes(cause));
  watch.told.push(...news.map(([cause]) => cause));
  return news.map(([, sentence]) => sentence);
}

type Warning = [cause: string, sentence: string] | undefined;

/** A model trained on answers like the chosen ones does not find most of the rejected answers more likely. */
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
    `the model finds the rejected answer more likely (per token) in ${rejected} of the first ${judgedPairs} pairs: chosen and rejected may be swapped in the data; the same happens if the rejected answers are the model's own`,
  ];
}

/**
 * Compares the cross-entropy of the chosen answers with that of the reference on the same answers or, without a
 * reference, with the mean of the first steps.
 */
function sinking(
  watch: PreferenceWatch,
  answers: readonly JudgedAnswer[],
  { reference, sinkingSteps }: { reference: boolean; sinkingSteps: number },
): Warning {
  const chosen = answers.filter(({ desirable }) => desirable);
  if (chosen.length === 0) return undefined;
  const tokens = chosen.reduce((total, answer) => total + answer.tokens, 0);
  const nll = -chosen.reduce((total, answer) => total + answer.logProb, 0) / tokens;
  watch.steps++;
  const isFirst = watch.steps <= sinkingSteps;
  if (isFirst) {
    watch.firstSteps++;
    watch.firstNll += nll;
  }
  if (!reference && isFirst) return undefined;
  const referenceNll = -chosen.reduce((total, answer) => total + answer.reference, 0) / tokens;
  const before = reference ? referenceNll : watch.firstNll / watch.firstSteps;
  watch.sunk = nll - before > noticedFall ? watch.sunk + 1 : 0;
  if (watch.sunk < sinkingSteps) return undefined;
  return [
    'sinking',
    `for ${sinkingSteps} steps chosen answers have been less likely than ${reference ? 'under the reference' : 'in the first steps'}, by ${(nll - before).toPrecision(2)} nats per token now: both answers become unlikely, and text may degenerate; lower lr, raise beta or set nllWeight`,
  ];
}

/** A policy that always equals its reference: the learning rate is too small for float32, or the two share memory. */
function still(watch: PreferenceWatch, answers: readonly JudgedAnswer[]): Warning {
  watch.still = answers.every(({ logProb, reference }) => logProb === reference) ? watch.still + 1 : 0;
  if (watch.still < stillSteps) return undefined;
  return ['still', `after ${stillSteps} steps the policy still equals the reference exactly: raise lr`];
}
