import { packSequences, type Sequence, trainedTokensOf } from '../data/batch.ts';
import type { EncodedAnswer } from '../data/encode.ts';
import { type KtoLoss, ktoBaseline, ktoLoss } from '../losses/kto.ts';
import type { Model } from '../model/model.ts';
import { add, mul, reshape, sub, sum } from '../tensor/primitives.ts';
import { fromHost, scope } from '../tensor/scope.ts';
import type { Tensor } from '../tensor/tensor.ts';
import type { Optimizer } from './optimizer.ts';
import { type PreferenceReport, preferenceMetrics, readAndRelease, rewardsOf } from './preference.ts';
import { alone, type Ranks, shareOf } from './ranks.ts';
import { logLikelihoods, sequenceLogProbs } from './sequence-log-probs.ts';
import { backwardFromLoss, gradientOf } from './window.ts';

/** An answer with its label and its log π_ref. */
export interface ReferencedAnswer extends EncodedAnswer {
  reference: number;
}

export interface KtoObjective extends KtoLoss {
  loss: 'kto';
  /** Weight of the cross-entropy of the desirable answers, which is added to the loss. */
  nllWeight: number;
  /** Maximum length of a mismatched prompt and answer together, in tokens; longer ones are cut. */
  maxLength: number;
}

/**
 * Mean KTO loss of an accumulation window of answers. Adds the gradient to the optimiser's. The baseline is computed
 * from the whole window, so it does not matter how the window is split into micro-batches.
 */
export async function ktoStep(
  optimizer: Optimizer,
  microBatches: readonly (readonly ReferencedAnswer[])[],
  reference: Model,
  objective: KtoObjective,
): Promise<PreferenceReport> {
  const window = microBatches.flat();
  const { model, ranks } = optimizer;
  const baseline = await klToReference(model, reference, window, { ...objective, ranks });
  const share = sharesOf(window, objective);
  const { loss, logProbs } = await gradientOf(optimizer, microBatches, (batch, tape) =>
    backwardFromLoss(tape, () => {
      const logProbs = sequenceLogProbs(model, packSequences(batch));
      return { loss: windowLoss(logProbs, batch, baseline, objective, share), logProbs };
    }),
  );
  return answerReport(loss, logProbs, window, baseline, objective);
}

/** Mean KTO loss of any number of answers, without gradients. */
export async function evaluateAnswers(
  model: Model,
  answers: readonly ReferencedAnswer[],
  reference: Model,
  objective: KtoObjective,
): Promise<PreferenceReport> {
  const baseline = await klToReference(model, reference, answers, objective);
  const policy = await logLikelihoods(model, answers);
  const loss = scope(
    () => {
      const logProbs = fromHost(model.backend, Float64Array.from(policy));
      return windowLoss(logProbs, answers, baseline, objective, sharesOf(answers, objective));
    },
    { adopt: false },
  );
  return answerReport((await readAndRelease(loss))[0]!, policy, answers, baseline, objective);
}

/** z of a window, estimated from its mismatched answers; 0 for a single answer, for which there is no other prompt. */
async function klToReference(
  policy: Model,
  reference: Model,
  window: readonly EncodedAnswer[],
  { maxLength, ranks = alone }: Pick<KtoObjective, 'maxLength'> & { ranks?: Ranks },
): Promise<number> {
  if (window.length < 2) return 0;
  const sequences = shareOf(mismatched(window, maxLength), ranks);
  const under = async (model: Model) => ranks.gather(await logLikelihoods(model, sequences));
  return ktoBaseline(await under(policy), await under(reference));
}

/**
 * Pairs each prompt with the answer to the previous prompt, and the first prompt with the last answer, as TRL's KTO
 * does.
 */
export function mismatched(window: readonly EncodedAnswer[], maxLength: number): Sequence[] {
  return window.map(({ tokens, trained }, i) => {
    const other = window.at(i - 1)!;
    const [promptEnd, otherStart] = [trained.indexOf(1), other.trained.indexOf(1)];
    const prompt = tokens.subarray(0, promptEnd);
    return {
      tokens: Int32Array.from([...prompt, ...other.tokens.subarray(otherStart)]).subarray(0, maxLength),
      trained: Uint8Array.from([...new Uint8Array(promptEnd), ...other.trained.subarray(otherStart)]).subarray(
        0,
        maxLength,
      ),
    };
  });
}

/** The weights of an answer, and of a token of a desirable answer, in the loss of a window. */
function sharesOf(window: readonly EncodedAnswer[], { nllWeight }: KtoObjective): { answer: number; token: number } {
  const wantedTokens = window
    .filter(({ desirable }) => desirable)
    .reduce((total, answer) => total + trainedTokensOf(answer), 0);
  return { answer: 1 / window.length, token: wantedTokens === 0 ? 0 : nllWeight / wantedTokens };
}

/** The contribution of these answers to the loss of the window, [1]. */
function windowLoss(
  policy: Tensor,
  answers: readonly ReferencedAnswer[],
  baseline: number,
  objective: KtoObjective,
  share: { answer: number; token: number },
): Tensor {
  const onDevice = (value: (answer: ReferencedAnswer) => number) =>
    fromHost(policy.backend, Float64Array.from(answers, value));
  const logRatios = sub(
    policy,
    onDevice(({ reference }) => reference),
  );
  const desirable = answers.map((answer) => answer.desirable);
  const preference = mul(sum(ktoLoss(logRatios, desirable, baseline, objective)), share.answer);
  if (share.token === 0) return reshape(preference, [1]);
  const wanted = onDevice((answer) => (answer.desirable ? -share.token : 0));
  return reshape(add(preference, sum(mul(policy, wanted))), [1]);
}

function answerReport(
  loss: number,
  policy: readonly number[],
  window: readonly ReferencedAnswer[],
  kl: number,
  objective: KtoObjective,
): PreferenceReport {
  const answers = window.map((answer, i) => ({
    desirable: answer.desirable,
    tokens: trainedTokensOf(answer),
    logProb: policy[i]!,
    reference: answer.reference,
  }));
  const rewards = rewardsOf(answers, objective);
  const accuracy = orderedShare(
    rewards.filter((_, i) => answers[i]!.desirable),
    rewards.filter((_, i) => !answers[i]!.desirable),
  );
  const metrics = { ...(accuracy === undefined ? {} : { accuracy }), ...preferenceMetrics(answers, objective), kl };
  return { loss, metrics, answers, tokens: window.reduce((total, { tokens }) => total + tokens.length, 0) };
}

/** How often a desirable answer has a higher reward than an undesirable one: the area under the ROC curve. */
function orderedShare(wanted: readonly number[], other: readonly number[]): number | undefined {
  const pairs = wanted.flatMap((a) => other.map((b): number => (a > b ? 1 : a === b ? 0.5 : 0)));
  return pairs.length === 0 ? undefined : pairs.reduce((a, b) => a + b, 0) / pairs.length;
}
