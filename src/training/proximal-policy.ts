import { clipFraction, clippedPolicyLoss, type PolicyClip } from '../losses/clipped-policy.ts';
import { clippedValueLoss } from '../losses/clipped-value.ts';
import { tokenEntropies } from '../losses/entropy.ts';
import { type TokenWeighting, tokenWeights } from '../losses/grpo.ts';
import { type KlKind, klEstimates, klPenalty } from '../losses/kl.ts';
import { headOf, type Model } from '../model/model.ts';
import type { HostArray } from '../tensor/backends/backend.ts';
import { tokenLogProbs } from '../tensor/fused/token-log-probs.ts';
import { add, mul, reshape, scatterAdd, sub, sum } from '../tensor/primitives.ts';
import { fromHost } from '../tensor/scope.ts';
import type { Tensor } from '../tensor/tensor.ts';
import type { PolicyExample, ValueExample } from './experience.ts';
import { sumOnHost } from './language-model.ts';
import { type Optimizer, tapeOf } from './optimizer.ts';
import {
  assertOnlyResponses,
  atTemperature,
  type PackedResponses,
  packResponses,
  responseGroups,
  responseStates,
  valuesOf,
} from './responses.ts';

export interface PolicyLoss {
  clip: PolicyClip;
  /** Of sampling. */
  temperature: number;
  /** What a ratio is of: each token (PPO, GRPO), or a whole response, which is one action then (RLOO). */
  ratio: 'token' | 'response';
  /** What each token counts; the ratios of whole responses count the same. */
  weighting: TokenWeighting;
  /** Longest that a response may be. */
  maxNewTokens: number;
  /** A KL term in the loss, as in GRPO; PPO has it in the rewards. */
  kl?: { kind: KlKind; coefficient: number };
  /** What the entropy of each token's distribution counts against its loss. */
  entropyCoefficient?: number;
}

export interface PolicyMetrics {
  policyLoss: number;
  /** Share of ratios, of tokens or of responses, whose gradient the clipping ended. */
  clipFraction: number;
  /** KL(π_old‖π), the k3 estimate, mean over tokens. */
  approximateKl: number;
  /** Largest |ρ − 1| of a token. */
  ratioDistance: number;
}

export interface ValueMetrics {
  valueLoss: number;
  /** Largest distance of a value from what it was before the first update. */
  valueDistance: number;
}

/** Loss of a minibatch of responses under the clipped surrogate. Adds its gradient to the optimiser's. */
export async function policyStep(
  optimizer: Optimizer,
  examples: readonly PolicyExample[],
  loss: PolicyLoss,
): Promise<PolicyMetrics> {
  const { model } = optimizer;
  const losses: Tensor[] = [];
  const newLogProbs: number[] = [];
  for (const group of responseGroups(weighted(examples, loss), tokensAtOnce(model, loss))) {
    const tape = tapeOf(optimizer);
    const [policyLoss, logProbs] = tape.record(() => {
      const packed = packResponses(group);
      return policyTerms(model, responseStates(model, packed), packed, group, loss);
    });
    tape.backward(policyLoss);
    losses.push(policyLoss);
    for (const logProb of await readOf(logProbs)) newLogProbs.push(logProb);
  }
  return policyMetrics(await sumOnHost(losses, optimizer.step + 1), newLogProbs, examples, loss);
}

/** Clipped squared error of the critic, mean over the tokens of a minibatch. Adds its gradient to the optimiser's. */
export async function valueStep(
  critic: Optimizer,
  examples: readonly ValueExample[],
  valueClip: number,
  offset = 0,
): Promise<ValueMetrics> {
  const { model } = critic;
  const losses: Tensor[] = [];
  const newValues: number[] = [];
  for (const group of responseGroups(examples)) {
    const tape = tapeOf(critic);
    const [valueLoss, values] = tape.record(() =>
      valueTerms(model, responseStates(model, packResponses(group)), group, {
        clip: valueClip,
        tokens: tokensOf(examples),
        offset,
      }),
    );
    tape.backward(valueLoss);
    losses.push(valueLoss);
    for (const value of await readOf(values)) newValues.push(value);
  }
  return valueMetrics(await sumOnHost(losses, critic.step + 1), newValues, examples);
}

/**
 * Both losses over one trunk: policy + `weight` · value, where the optimiser's model has a score head beside its
 * language head. Adds the gradient to the optimiser's.
 */
export async function sharedStep(
  optimizer: Optimizer,
  examples: readonly (PolicyExample & ValueExample)[],
  loss: PolicyLoss,
  { clip: valueClip, weight }: { clip: number; weight: number },
): Promise<PolicyMetrics & ValueMetrics> {
  const { model } = optimizer;
  const losses: { policy: Tensor; value: Tensor }[] = [];
  const newLogProbs: number[] = [];
  const newValues: number[] = [];
  for (const group of responseGroups(weighted(examples, loss), tokensAtOnce(model, loss))) {
    const tape = tapeOf(optimizer);
    const [total, policy, logProbs, value, values] = tape.record((): Tensor[] => {
      const packed = packResponses(group);
      const states = responseStates(model, packed);
      const policyPart = policyTerms(model, states, packed, group, loss);
      const valuePart = valueTerms(model, states, group, { clip: valueClip, tokens: tokensOf(examples), offset: 0 });
      return [add(policyPart[0], mul(valuePart[0], weight)), ...policyPart, ...valuePart];
    }) as [Tensor, Tensor, Tensor, Tensor, Tensor];
    tape.backward(total);
    total.release();
    losses.push({ policy, value });
    for (const logProb of await readOf(logProbs)) newLogProbs.push(logProb);
    for (const value of await readOf(values)) newValues.push(value);
  }
  const step = optimizer.step + 1;
  const policyLoss = await sumOnHost(
    losses.map(({ policy }) => policy),
    step,
  );
  const valueLoss = await sumOnHost(
    losses.map(({ value }) => value),
    step,
  );
  return {
    ...policyMetrics(policyLoss, newLogProbs, examples, loss),
    ...valueMetrics(valueLoss, newValues, examples),
  };
}

/** What its tokens count, [tokens], and what it counts as a whole. */
type Weighted<E> = E & { weights: Float64Array; share: number };

/** The policy's loss of a group, [1], and the log-probabilities of its tokens, [tokens]. */
function policyTerms(
  model: Model,
  states: Tensor,
  { tokens }: PackedResponses,
  group: readonly Weighted<PolicyExample>[],
  { clip, ratio, temperature, kl, entropyCoefficient = 0 }: PolicyLoss,
): [loss: Tensor, logProbs: Tensor] {
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
  return [loss, logProbs];
}

/** The critic's loss of a group as its share of the mean over `tokens`, [1], and the values of its tokens, [tokens]. */
function valueTerms(
  model: Model,
  states: Tensor,
  group: readonly ValueExample[],
  { clip, tokens, offset }: { clip: number; tokens: number; offset: number },
): [loss: Tensor, values: Tensor] {
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
  return [total(mul(perToken, 1 / tokens)), values];
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

/** Entropies need all logits of a group at once, 128 MiB of them at most. */
function tokensAtOnce({ config }: Model, { entropyCoefficient = 0 }: PolicyLoss): number | undefined {
  return entropyCoefficient > 0 ? Math.min(8192, Math.ceil(2 ** 25 / config.vocabSize)) : undefined;
}

async function readOf(tensor: Tensor): Promise<HostArray> {
  const values = await tensor.backend.read(tensor);
  tensor.release();
  return values;
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

/**
 * log π_old and advantages, one for each ratio. All tokens of a response that is one action have the same advantage.
 */
function ratioTerms(
  examples: readonly PolicyExample[],
  ratio: PolicyLoss['ratio'],
): { old: Float64Array; advantages: Float64Array } {
  const old = joined(examples.map(({ logProbs }) => logProbs));
  if (ratio === 'token') return { old, advantages: joined(examples.map(({ advantages }) => advantages)) };
  return { old: hostSums(old, examples), advantages: Float64Array.from(examples, ({ advantages }) => advantages[0]!) };
}

/** Σ over the tokens of each response, [responses]. */
function responseSums(perToken: Tensor, examples: readonly PolicyExample[]): Tensor {
  const owners = Int32Array.from(examples.flatMap(({ response }, i) => Array.from(response, () => i)));
  const column = reshape(perToken, [perToken.size, 1]);
  return reshape(scatterAdd(column, fromHost(perToken.backend, owners), examples.length), [examples.length]);
}

/** The same on the host. */
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

const mean = (x: Float64Array): number => x.reduce((a, b) => a + b, 0) / x.length;
