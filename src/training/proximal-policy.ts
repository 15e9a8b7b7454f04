import { clipFraction, clippedPolicyLoss, type PolicyClip } from '../losses/clipped-policy.ts';
import { clippedValueLoss } from '../losses/clipped-value.ts';
import { tokenEntropies } from '../losses/entropy.ts';
import { type TokenWeighting, tokenWeights } from '../losses/grpo.ts';
import { type KlKind, klEstimates, klPenalty } from '../losses/kl.ts';
import { headOf, type Model } from '../model/model.ts';
import { tokenLogProbs } from '../tensor/fused/token-log-probs.ts';
import { add, mul, reshape, scatterAdd, sub, sum } from '../tensor/primitives.ts';
import { fromHost } from '../tensor/scope.ts';
import type { Tensor } from '../tensor/tensor.ts';
import type { PolicyExample, ValueExample } from './experience.ts';
import type { Optimizer } from './optimizer.ts';
import {
  assertOnlyResponses,
  atTemperature,
  type PackedResponses,
  packResponses,
  responseGroups,
  responseStates,
  valuesOf,
} from './responses.ts';
import { backwardFromLoss, gradientOf } from './window.ts';

export interface PolicyLoss {
  clip: PolicyClip;
  /** Temperature of sampling. */
  temperature: number;
  /** Whether ratios are those of tokens (PPO, GRPO), or of whole responses, each of which is one action (RLOO). */
  ratio: 'token' | 'response';
  /** How tokens are weighted. Ratios of whole responses all have the same weight. */
  weighting: TokenWeighting;
  /** Maximum length of a response. */
  maxNewTokens: number;
  /** A KL term in the loss, as in GRPO; in PPO it is part of the rewards. */
  kl?: { kind: KlKind; coefficient: number };
  /** Coefficient of the entropy bonus, which is subtracted from the loss of each token. */
  entropyCoefficient?: number;
}

export interface PolicyMetrics {
  policyLoss: number;
  /** Fraction of ratios, of tokens or of responses, that get no gradient because of clipping. */
  clipFraction: number;
  /** KL(π_old‖π) in nats: the k3 estimate, averaged over tokens. */
  approximateKl: number;
  /** Largest |ρ − 1| over all tokens. */
  ratioDistance: number;
}

export interface ValueMetrics {
  valueLoss: number;
  /** Largest change of a value since before the first update. */
  valueDistance: number;
}

/** Loss of a minibatch of responses with the clipped surrogate. Adds its gradient to the optimiser's. */
export async function policyStep(
  optimizer: Optimizer,
  examples: readonly PolicyExample[],
  loss: PolicyLoss,
): Promise<PolicyMetrics> {
  const { model } = optimizer;
  const groups = [...responseGroups(weighted(examples, loss), tokensAtOnce(model, loss))];
  const found = await gradientOf(optimizer, groups, (group, tape) =>
    backwardFromLoss(tape, () => {
      const packed = packResponses(group);
      return policyTerms(model, responseStates(model, packed), packed, group, loss);
    }),
  );
  return policyMetrics(found.loss, found.logProbs, examples, loss);
}

/**
 * The critic's clipped squared error, averaged over the tokens of a minibatch. Adds its gradient to the optimiser's.
 */
export async function valueStep(
  critic: Optimizer,
  examples: readonly ValueExample[],
  valueClip: number,
  offset = 0,
): Promise<ValueMetrics> {
  const { model } = critic;
  const options = { clip: valueClip, tokens: tokensOf(examples), offset };
  const { loss, values } = await gradientOf(critic, [...responseGroups(examples)], (group, tape) =>
    backwardFromLoss(tape, () => valueTerms(model, responseStates(model, packResponses(group)), group, options)),
  );
  return valueMetrics(loss, values, examples);
}

/**
 * Both losses with a shared trunk: policy + `weight` · value. The optimiser's model must have a score head in addition
 * to its language-model head. Adds the gradient to the optimiser's.
 */
export async function sharedStep(
  optimizer: Optimizer,
  examples: readonly (PolicyExample & ValueExample)[],
  loss: PolicyLoss,
  { clip: valueClip, weight }: { clip: number; weight: number },
): Promise<PolicyMetrics & ValueMetrics> {
  const { model } = optimizer;
  const options = { clip: valueClip, tokens: tokensOf(examples), offset: 0 };
  const groups = [...responseGroups(weighted(examples, loss), tokensAtOnce(model, loss))];
  const found = await gradientOf(optimizer, groups, (group, tape) =>
    backwardFromLoss(tape, () => {
      const packed = packResponses(group);
      const states = responseStates(model, packed);
      const { loss: policyLoss, logProbs } = policyTerms(model, states, packed, group, loss);
      const { loss: valueLoss, values } = valueTerms(model, states, group, options);
      return { loss: add(policyLoss, mul(valueLoss, weight)), policyLoss, logProbs, valueLoss, values };
    }),
  );
  return {
    ...policyMetrics(sumOf(found.policyLoss), found.logProbs, examples, loss),
    ...valueMetrics(sumOf(found.valueLoss), found.values, examples),
  };
}

/** An example with the weights of its tokens, [tokens], and its weight as a whole. */
type Weighted<E> = E & { weights: Float64Array; share: number };

/** The contribution of a group to the policy's loss, [1], and the log-probabilities of its tokens, [tokens]. */
function policyTerms(
  model: Model,
  states: Tensor,
  { tokens }: PackedResponses,
  group: readonly Weighted<PolicyExample>[],
  { clip, ratio, temperature, kl, entropyCoefficient = 0 }: PolicyLoss,
): { loss: Tensor; logProbs: Tensor } {
  const { backend } = model;
  const ofGroup = (of: (example: Weighted<PolicyExample>) => Float64Array): Tensor =>
    fromHost(backend, joined(group.map(of)));
  const scaled = atTemperature(states, temperature);
  const logProbs = tokenLogProbs(scaled, headOf(model), tokens);
  assertOnlyResponses(logProbs.size, group);
  const { old, advantages } = ratioTerms(group, ratio);
  const surrogate = clippedPolicyLoss(
    ratio === 'token' ? logProbs : responseSums(logProbs, group),
    fromHost(backend, old),
    fromHost(backend, advantages),
    clip,
  );
  const weights = ofGroup((example) => example.weights);
  let loss = total(mul(surrogate, ratio === 'token' ? weights : ofGroup(({ share }) => Float64Array.of(share))));
  if (kl) {
    const reference = ofGroup((example) => example.reference);
    loss = add(loss, total(mul(mul(klPenalty(kl.kind, logProbs, reference), kl.coefficient), weights)));
  }
  if (entropyCoefficient > 0) {
    loss = sub(loss, total(mul(mul(tokenEntropies(scaled, headOf(model)), entropyCoefficient), weights)));
  }
  return { loss, logProbs };
}

/** The contribution of a group to the critic's mean loss over `tokens`, [1], and the values of its tokens, [tokens]. */
function valueTerms(
  model: Model,
  states: Tensor,
  group: readonly ValueExample[],
  { clip, tokens, offset }: { clip: number; tokens: number; offset: number },
): { loss: Tensor; values: Tensor } {
  const ofGroup = (of: (example: ValueExample) => Float64Array): Tensor =>
    fromHost(model.backend, joined(group.map(of)));
  const values = valuesOf(model, states, offset);
  assertOnlyResponses(values.size, group);
  const old = ofGroup((example) => example.values);
  const perToken = clippedValueLoss(
    values,
    old,
    ofGroup(({ returns }) => returns),
    clip,
  );
  return { loss: total(mul(perToken, 1 / tokens)), values };
}

function policyMetrics(
  policyLoss: number,
  newLogProbs: readonly number[],
  examples: readonly PolicyExample[],
  { clip, ratio }: PolicyLoss,
): PolicyMetrics {
  const oldLogProbs = joined(examples.map(({ logProbs }) => logProbs));
  const { old, advantages } = ratioTerms(examples, ratio);
  const now = ratio === 'token' ? newLogProbs : hostSums(newLogProbs, examples);
  return {
    policyLoss,
    clipFraction: clipFraction(now, old, advantages, clip),
    approximateKl: mean(klEstimates('k3', oldLogProbs, newLogProbs)),
    ratioDistance: newLogProbs.reduce(
      (far, logProb, i) => Math.max(far, Math.abs(Math.expm1(logProb - oldLogProbs[i]!))),
      0,
    ),
  };
}

function valueMetrics(
  valueLoss: number,
  newValues: readonly number[],
  examples: readonly ValueExample[],
): ValueMetrics {
  const oldValues = joined(examples.map(({ values }) => values));
  const valueDistance = newValues.reduce((far, value, i) => Math.max(far, Math.abs(value - oldValues[i]!)), 0);
  return { valueLoss, valueDistance };
}

/** Entropies need all logits of a group at once; limits these to 128 MiB. */
function tokensAtOnce({ config }: Model, { entropyCoefficient = 0 }: PolicyLoss): number | undefined {
  return entropyCoefficient > 0 ? Math.min(8192, Math.ceil(2 ** 25 / config.vocabSize)) : undefined;
}

const tokensOf = (examples: readonly ValueExample[]): number =>
  examples.reduce((sum, { response }) => sum + response.length, 0);

function weighted<E extends PolicyExample>(
  examples: readonly E[],
  { weighting, maxNewTokens }: PolicyLoss,
): Weighted<E>[] {
  const lengths = examples.map(({ response }) => response.length);
  const weights = tokenWeights(lengths, weighting, maxNewTokens);
  const share = 1 / examples.length;
  return examples.map((example, i) => ({
    ...example,
    weights: new Float64Array(lengths[i]!).fill(weights[i]!),
    share,
  }));
}

/** log π_old and the advantage of each ratio. If a response is one action, all its tokens have the same advantage. */
function ratioTerms(
  examples: readonly PolicyExample[],
  ratio: PolicyLoss['ratio'],
): { old: Float64Array; advantages: Float64Array } {
  const old = joined(examples.map(({ logProbs }) => logProbs));
  if (ratio === 'token') return { old, advantages: joined(examples.map(({ advantages }) => advantages)) };
  return { old: hostSums(old, examples), advantages: Float64Array.from(examples, ({ advantages }) => advantages[0]!) };
}

/** Sums over the tokens of each response, [tokens] → [responses]. */
function responseSums(perToken: Tensor, examples: readonly PolicyExample[]): Tensor {
  const owners = Int32Array.from(examples.flatMap(({ response }, i) => Array.from(response, () => i)));
  const column = reshape(perToken, [perToken.size, 1]);
  return reshape(scatterAdd(column, fromHost(perToken.backend, owners), examples.length), [examples.length]);
}

/** Sums over the tokens of each response, on the host. */
function hostSums(perToken: ArrayLike<number>, examples: readonly PolicyExample[]): Float64Array {
  let next = 0;
  return Float64Array.from(examples, ({ response }) => response.reduce((sum) => sum + perToken[next++]!, 0));
}

const total = (x: Tensor): Tensor => reshape(sum(x), [1]);

function joined(parts: readonly Float64Array[]): Float64Array {
  const all = new Float64Array(parts.reduce((sum, { length }) => sum + length, 0));
  let start = 0;
  for (const part of parts) {
    all.set(part, start);
    start += part.length;
  }
  return all;
}

const sumOf = (x: readonly number[]): number => x.reduce((a, b) => a + b, 0);

const mean = (x: Float64Array): number => x.reduce((a, b) => a + b, 0) / x.length;
