import { generalisedAdvantages } from '../losses/advantages.ts';
import { type KlKind, klEstimates } from '../losses/kl.ts';
import { whiten } from '../losses/masked.ts';
import { tokenRewards } from '../losses/token-rewards.ts';
import type { Model } from '../model/model.ts';
import { RandomStream } from '../random.ts';
import { ofEachResponse, responseLogProbs } from './responses.ts';
import type { Rollout } from './rollout.ts';

/** A rollout with what is known before the first update. All arrays are [tokens] of the response. */
export interface Experience extends Rollout {
  /** log π of the policy that sampled it, computed in the same way as in the updates. */
  logProbs: Float64Array;
  /** log π_ref of the reference, computed in the same way. */
  reference: Float64Array;
  /** Score of the whole response. */
  score: number;
}

/** An example for updates of the policy. */
export interface PolicyExample extends Rollout {
  logProbs: Float64Array;
  reference: Float64Array;
  /** [tokens] */
  advantages: Float64Array;
}

/** An example for updates of the critic. */
export interface ValueExample extends Rollout {
  /** V before the first update, [tokens]. */
  values: Float64Array;
  /** [tokens] */
  returns: Float64Array;
}

/** Adds the log-probabilities of all responses under policy and reference, at the temperature of sampling. */
export async function withLogProbs<R extends Rollout>(
  rollouts: readonly R[],
  policy: Model,
  reference: Model,
  temperature: number,
): Promise<(R & Pick<Experience, 'logProbs' | 'reference'>)[]> {
  const under = (model: Model): Promise<Float64Array[]> =>
    ofEachResponse(rollouts, (packed) => responseLogProbs(model, packed, temperature));
  const [logProbs, referenced] = [await under(policy), await under(reference)];
  return rollouts.map((rollout, i) => ({ ...rollout, logProbs: logProbs[i]!, reference: referenced[i]! }));
}

/** An example for updates of policy and critic in PPO. */
export interface PpoExample extends Experience, PolicyExample, ValueExample {
  /** Reward of each token: the KL penalty everywhere, plus the score on the last token. */
  rewards: Float64Array;
  /** The rewards that GAE uses: `rewards`, whitened if `whitenRewards` is set. */
  learnedRewards: Float64Array;
}

export interface AdvantageOptions {
  klCoefficient: number;
  klKind: KlKind;
  gamma: number;
  lambda: number;
  whitenRewards: boolean;
}

/**
 * Adds PPO's advantages and returns: computes the reward of each token (the KL penalty everywhere, plus the score on
 * the last token), applies GAE, and whitens the advantages of the whole iteration to mean 0. `values` are [tokens] for
 * each response.
 */
export function withAdvantages(
  experience: readonly Experience[],
  values: readonly Float64Array[],
  { klCoefficient, klKind, gamma, lambda, whitenRewards }: AdvantageOptions,
): PpoExample[] {
  const plain = experience.map((response) => tokenRewards(response, klCoefficient, klKind));
  const rewards = whitenRewards ? whitenTogether(plain, 'keep') : plain;
  const estimates = rewards.map((reward, i) =>
    generalisedAdvantages({ rewards: reward, values: values[i]!, discount: gamma, lambda }),
  );
  const advantages = whitenTogether(
    estimates.map((estimate) => estimate.advantages),
    'remove',
  );
  return experience.map((response, i) => ({
    ...response,
    values: values[i]!,
    rewards: plain[i]!,
    learnedRewards: rewards[i]!,
    returns: estimates[i]!.returns,
    advantages: advantages[i]!,
  }));
}

/**
 * Adds advantages computed from the rewards of the responses to the same prompt, which are `samples` consecutive ones.
 * All tokens of a response have the same advantage.
 */
export function withGroupAdvantages(
  experience: readonly Experience[],
  rewards: readonly number[],
  samples: number,
  advantagesOf: (rewards: readonly number[]) => Float64Array,
): (Experience & PolicyExample)[] {
  return experience.map((response, i) => {
    const first = i - (i % samples);
    const advantage = advantagesOf(rewards.slice(first, first + samples))[i - first]!;
    return { ...response, advantages: new Float64Array(response.response.length).fill(advantage) };
  });
}

/** Fraction of the groups whose responses all have the same score, so that there is nothing to learn from them. */
export function equalGroups(experience: readonly Pick<Experience, 'score'>[], samples: number): number {
  const firsts = experience.filter((_, i) => i % samples === 0);
  const equal = firsts.filter(({ score }, group) =>
    experience.slice(group * samples, (group + 1) * samples).every((response) => response.score === score),
  );
  return equal.length / firsts.length;
}

function whitenTogether(parts: readonly Float64Array[], mean: 'remove' | 'keep'): Float64Array[] {
  const all = parts.flatMap((part) => [...part]);
  const whitened = whiten(all, new Uint8Array(all.length).fill(1), mean);
  let start = 0;
  return parts.map(({ length }) => {
    start += length;
    return whitened.slice(start - length, start);
  });
}

/** KL(π‖π_ref) of each response in nats: the sum of the k1 estimates of its tokens, positive or negative. */
export function responseKls(experience: readonly Pick<Experience, 'logProbs' | 'reference'>[]): number[] {
  return experience.map(({ logProbs, reference }) => klEstimates('k1', logProbs, reference).reduce((a, b) => a + b, 0));
}

/**
 * Shuffles the examples anew for each pass and splits them into `minibatches` parts, whose sizes differ by at most one.
 * Skips the first `done` of all parts.
 */
export function* minibatchesOf<E>(
  examples: readonly E[],
  { passes, minibatches, seed, name }: { passes: number; minibatches: number; seed: number; name: string },
  done = 0,
): Generator<E[]> {
  for (let part = done; part < passes * minibatches; part++) {
    const order = new RandomStream(seed, `${name}/pass-${Math.floor(part / minibatches)}`).shuffle([...examples]);
    const bound = (index: number): number => Math.floor((index * order.length) / minibatches);
    yield order.slice(bound(part % minibatches), bound((part % minibatches) + 1));
  }
}
