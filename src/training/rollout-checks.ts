import { createHash } from 'node:crypto';
import { RunError } from '../errors.ts';
import { type KlKind, klEstimates } from '../losses/kl.ts';
import type { Model } from '../model/model.ts';
import type { Precision } from '../tensor/backends/backend.ts';
import type { Experience, PpoExample } from './experience.ts';
import type { PolicyMetrics } from './proximal-policy.ts';

/**
 * How far apart log-probabilities may be that are equal except for rounding. In bf16, decoding rounds where training
 * does, so the difference is 1e-6 if the processor multiplies bfloat16 and texts have at most 256 tokens. In longer
 * texts the softmax of a row is computed in parts: with the 30 layers of SmolLM2 the mean difference was 0.006 over
 * 1,077 tokens of texts of up to 500 tokens.
 */
export const tolerances: Record<Precision, number> = { f64: 1e-4, f32: 1e-4, bf16: 0.012 };

/**
 * Checks that sampling (with a key-value cache) and training (packed) compute the same log-probabilities except for
 * rounding. Returns their distance: the largest difference of a token or, in bf16, where single tokens may differ more,
 * the mean difference.
 * @throws RunError
 */
export function assertSampledLogProbs(
  experience: readonly Pick<Experience, 'sampledLogProbs' | 'logProbs' | 'row'>[],
  precision: Precision,
): number {
  const differences = experience.flatMap(({ sampledLogProbs, logProbs }) =>
    Array.from(logProbs, (logProb, t) => Math.abs(logProb - sampledLogProbs[t]!)),
  );
  const distance =
    precision === 'bf16'
      ? differences.reduce((a, b) => a + b, 0) / differences.length
      : differences.reduce((a, b) => Math.max(a, b), 0);
  if (distance <= tolerances[precision]) return distance;
  throw new RunError(`log-probabilities of sampling and training differ by ${distance.toPrecision(3)} per token`, {
    hint: 'the policy that samples is not the one that is trained, or positions or temperature differ between the two',
  });
}

/** Checks that before the first update the policy equals the reference: the KL is 0 at every token. @throws RunError */
export function assertUntouchedPolicy(
  experience: readonly Pick<Experience, 'logProbs' | 'reference'>[],
  precision: Precision,
): void {
  const distance = experience
    .flatMap(({ logProbs, reference }) => Array.from(logProbs, (logProb, t) => Math.abs(logProb - reference[t]!)))
    .reduce((a, b) => Math.max(a, b), 0);
  if (distance <= tolerances[precision]) return;
  throw new RunError(
    `before the first update the policy is the reference, but log-probabilities differ by ${distance.toPrecision(3)} per token`,
    { hint: '`from` was changed while the stage ran; run it again from the beginning' },
  );
}

/**
 * Checks that in the first minibatch of an iteration the policy is still the one that sampled: all ratios are 1 and
 * nothing is clipped.
 * @throws RunError
 */
export function assertUntouchedRatio(
  { ratioDistance, clipFraction }: Pick<PolicyMetrics, 'ratioDistance' | 'clipFraction'>,
  precision: Precision,
): void {
  if (ratioDistance <= 10 * tolerances[precision] && clipFraction === 0) return;
  throw new RunError(
    `in the first minibatch all ratios must be 1; one is off by ${ratioDistance.toPrecision(3)}, and ${(100 * clipFraction).toFixed(1)} % are clipped`,
    {
      hint: 'the old log-probabilities come from other weights or tokens, or from another temperature, than the update',
    },
  );
}

/** Checks that each response ends with its first end token or was cut off, so nothing after the end is learned from. */
export function assertNothingBehindEnd(
  rollouts: readonly Pick<Experience, 'row' | 'response' | 'ended'>[],
  endIds: readonly number[],
): void {
  for (const { row, response, ended } of rollouts) {
    const first = response.findIndex((token) => endIds.includes(token));
    if (first === (ended ? response.length - 1 : -1) && response.length > 0) continue;
    throw new RunError(
      `the response to row ${row + 1} continues after its end token, or was cut off although it has one`,
      {
        hint: 'tokens after the end are padding and must be left out of the loss',
      },
    );
  }
}

/** Checks that no number that the updates learn from is NaN or infinite. @throws RunError */
export function assertFinite(
  experience: readonly Pick<Experience, 'row' | 'logProbs' | 'reference' | 'score'>[],
): void {
  for (const { row, logProbs, reference, score } of experience) {
    const broken = Object.entries({ logProbs, reference, score: [score] }).find(
      ([, numbers]) => !Array.from(numbers).every(Number.isFinite),
    );
    if (!broken) continue;
    const names: Record<string, string> = {
      logProbs: 'log-probability under the policy',
      reference: 'log-probability under the reference',
      score: 'score',
    };
    throw new RunError(`the response to row ${row + 1} has a ${names[broken[0]]} that is not finite`, {
      hint: 'the weights have diverged, or the reward model gives no numbers; lower lr and resume from an earlier state',
      diverged: true,
    });
  }
}

/**
 * Checks that in the first minibatch of an iteration the critic still gives the values from which the advantages were
 * computed.
 * @throws RunError
 */
export function assertUntouchedValues(
  valueDistance: number,
  examples: readonly Pick<PpoExample, 'values'>[],
  precision: Precision,
): void {
  const largest = examples
    .flatMap(({ values }) => [...values])
    .reduce((far, value) => Math.max(far, Math.abs(value)), 0);
  if (valueDistance <= 10 * tolerances[precision] * (1 + largest)) return;
  throw new RunError(
    `in the first minibatch the critic's values must be those of the advantages; one is off by ${valueDistance.toPrecision(3)}`,
    { hint: 'the values are shifted by one token, or belong to other weights or responses' },
  );
}

/** Checks that the return of the last token of a response is its reward, as V after the end is 0. @throws RunError */
export function assertReturnsEndInRewards(
  examples: readonly Pick<PpoExample, 'row' | 'returns' | 'learnedRewards'>[],
): void {
  for (const { row, returns, learnedRewards } of examples) {
    const [last, reward] = [returns.at(-1)!, learnedRewards.at(-1)!];
    if (Math.abs(last - reward) <= 1e-6 * (1 + Math.abs(reward))) continue;
    throw new RunError(
      `the return of the last token of the response to row ${row + 1} is ${last}, but its reward is ${reward}`,
      { hint: 'values are shifted by one token: V after the end of a response is 0' },
    );
  }
}

/** Checks that rewards are the KL penalty everywhere, plus the score on the last token. @throws RunError */
export function assertRewardAtEnd(
  examples: readonly PpoExample[],
  { klCoefficient, klKind }: { klCoefficient: number; klKind: KlKind },
): void {
  for (const { row, rewards, response, logProbs, reference, score } of examples) {
    const penalties = klEstimates(klKind, logProbs, reference);
    const last = response.length - 1;
    const isAtEnd = rewards.every((reward, t) => {
      const expected = (t === last ? score : 0) - klCoefficient * penalties[t]!;
      return Math.abs(reward - expected) <= 1e-6 * (1 + Math.abs(score));
    });
    if (isAtEnd && rewards.length === response.length) continue;
    throw new RunError(`the reward of the response to row ${row + 1} is not on its last token`, {
      hint: 'the score of a response belongs to its last token, and nothing but the KL penalty to the others',
    });
  }
}

/** Checks by checksum that the reference has not changed unintentionally. @throws RunError */
export function assertSameWeights(before: string, after: string): void {
  if (before === after) return;
  throw new RunError('the weights of the reference have changed while the policy was trained', {
    hint: 'policy and reference share memory; the KL of this run means nothing',
  });
}

/** SHA-256 of the names and values of all weights. */
export async function weightsChecksum({ parameters, backend }: Model): Promise<string> {
  const hash = createHash('sha256');
  for (const [name, tensor] of parameters) hash.update(name).update(await backend.read(tensor));
  return hash.digest('hex');
}

/** Ends the run if the mean KL of responses is too large: the policy has drifted too far. @throws RunError */
export function assertKlBelow(kl: number, maxKl: number): void {
  if (kl <= maxKl) return;
  throw new RunError(`KL to the reference is ${kl.toFixed(1)} nats per response, above maxKl ${maxKl}`, {
    hint: 'lower lr or passes, raise klCoefficient or set klTarget; the last saved state is kept',
    diverged: true,
  });
}
