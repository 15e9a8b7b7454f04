import { createHash } from 'node:crypto';
import { RunError } from '../errors.ts';
import { type KlKind, klEstimates } from '../losses/kl.ts';
import type { Model } from '../model/model.ts';
import type { Precision } from '../tensor/backends/backend.ts';
import type { Experience } from './experience.ts';
import type { PolicyMetrics } from './proximal-policy.ts';

/** How far numbers may be apart that are equal but for rounding. */
export const tolerances: Record<Precision, number> = { f64: 1e-4, f32: 1e-4, bf16: 0.01 };

/**
 * Sampling (over a key-value cache) and training (packed) are two ways through the same model: their log-probabilities are
 * equal but for rounding. Returns how far they are apart: the largest difference of a token, and with rounded
 * products, where single tokens may differ, the mean.
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
  throw new RunError(`log-probabilities of sampling and training differ by ${distance.toPrecision(3)} a token`, {
    hint: 'the policy that samples is not the one that is trained, or positions or temperature differ between the two',
  });
}

/** Before the first update the policy is the reference: KL is 0 at every token. */
export function assertUntouchedPolicy(
  experience: readonly Pick<Experience, 'logProbs' | 'reference'>[],
  precision: Precision,
): void {
  const distance = experience
    .flatMap(({ logProbs, reference }) => Array.from(logProbs, (logProb, t) => Math.abs(logProb - reference[t]!)))
    .reduce((a, b) => Math.max(a, b), 0);
  if (distance <= tolerances[precision]) return;
  throw new RunError(
    `before the first update the policy is the reference, but log-probabilities differ by ${distance.toPrecision(3)} a token`,
    { hint: '`from` was changed while the stage ran; run it again from the beginning' },
  );
}

/** In the first minibatch of an iteration the policy is the one that sampled: all ratios are 1 and nothing is clipped. */
export function assertUntouchedRatio(
  { ratioDistance, clipFraction }: Pick<PolicyMetrics, 'ratioDistance' | 'clipFraction'>,
  precision: Precision,
): void {
  if (ratioDistance <= 10 * tolerances[precision] && clipFraction === 0) return;
  throw new RunError(
    `in the first minibatch all ratios must be 1; one is off by ${ratioDistance.toPrecision(3)}, and ${(100 * clipFraction).toFixed(1)} % are clipped`,
    { hint: 'the old log-probabilities are of other weights, tokens or another temperature than the update' },
  );
}

/** The score is in the reward of the last token, the end token where there is one, and the KL penalty is everywhere else. */
export function assertRewardAtEnd(
  examples: readonly (Experience & { rewards: Float64Array })[],
  { klCoefficient, klKind, endId }: { klCoefficient: number; klKind: KlKind; endId: number | undefined },
): void {
  for (const { row, rewards, response, ended, logProbs, reference, score } of examples) {
    const penalties = klEstimates(klKind, logProbs, reference);
    const last = response.length - 1;
    const isAtEnd = response.every((token, t) => {
      const expected = (t === last ? score : 0) - klCoefficient * penalties[t]!;
      return (
        (token === endId) === (t === last && ended) && Math.abs(rewards[t]! - expected) <= 1e-6 * (1 + Math.abs(score))
      );
    });
    if (isAtEnd && rewards.length === response.length) continue;
    throw new RunError(`the reward of the response to row ${row + 1} is not on its last token`, {
      hint: 'a response ends with its first end token, and its score belongs there',
    });
  }
}

/** The reference is frozen. */
export function assertSameWeights(before: string, after: string): void {
  if (before === after) return;
  throw new RunError('the weights of the reference have changed while the policy was trained', {
    hint: 'policy and reference share memory; the KL of this run means nothing',
  });
}

/** SHA-256 of all weights. */
export async function weightsChecksum({ parameters, backend }: Model): Promise<string> {
  const hash = createHash('sha256');
  for (const [name, tensor] of parameters) hash.update(name).update(await backend.read(tensor));
  return hash.digest('hex');
}

/** What an iteration is compared with to see drift. */
export interface Baseline {
  entropy: number;
  responseLength: number;
  reward: number;
}

/** The stop rule: KL of whole responses beyond which the policy has left the reference. */
export function assertKlBelow(kl: number, maxKl: number): void {
  if (kl <= maxKl) return;
  throw new RunError(`KL to the reference is ${kl.toFixed(1)} nats a response, above maxKl ${maxKl}`, {
    hint: 'lower lr or passes, raise klCoefficient or set klTarget; the last saved state is untouched',
  });
}

/** Sentences about what has drifted since the first iteration; by cause, so that each is said once. */
export function driftWarnings(first: Baseline, now: Baseline & { endRate: number }): Map<string, string> {
  const warnings = new Map<string, string>();
  const lengthened = now.responseLength / first.responseLength;
  if (now.entropy < 0.1 * first.entropy) {
    warnings.set(
      'entropy',
      `entropy has fallen from ${first.entropy.toFixed(3)} to ${now.entropy.toFixed(3)} nats a token: the policy hardly explores any more; raise klCoefficient or temperature`,
    );
  }
  if (lengthened > 1.5 || lengthened < 0.5) {
    const hacking = now.reward > first.reward ? ' while the reward rose: look whether length alone is rewarded' : '';
    warnings.set(
      'length',
      `responses went from ${first.responseLength.toFixed(1)} to ${now.responseLength.toFixed(1)} tokens${hacking}`,
    );
  }
  if (now.endRate < 0.5) {
    warnings.set(
      'ends',
      `${(100 * (1 - now.endRate)).toFixed(0)} % of the responses were cut off: raise maxNewTokens or missingEosPenalty`,
    );
  }
  return warnings;
}
