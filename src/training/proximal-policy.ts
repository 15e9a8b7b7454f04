import { clipFraction, clippedPolicyLoss, type PolicyClip } from '../losses/clipped-policy.ts';
import { clippedValueLoss } from '../losses/clipped-value.ts';
import { type TokenWeighting, tokenWeights } from '../losses/grpo.ts';
import { type KlKind, klEstimates, klPenalty } from '../losses/kl.ts';
import { add, mul, reshape, sum } from '../tensor/primitives.ts';
import { fromHost } from '../tensor/scope.ts';
import { Tape } from '../tensor/tape.ts';
import type { Tensor } from '../tensor/tensor.ts';
import type { PolicyExample, ValueExample } from './experience.ts';
import { sumOnHost } from './language-model.ts';
import { leavesOf, type Optimizer } from './optimizer.ts';
import { packResponses, responseGroups, responseLogProbs, responseValues } from './responses.ts';

export interface PolicyLoss {
  clip: PolicyClip;
  /** Of sampling. */
  temperature: number;
  /** What each token counts. */
  weighting: TokenWeighting;
  /** Longest that a response may be. */
  maxNewTokens: number;
  /** A KL term in the loss, as in GRPO; PPO has it in the rewards. */
  kl?: { kind: KlKind; coefficient: number };
}

export interface PolicyMetrics {
  policyLoss: number;
  /** Share of tokens whose gradient the clipping ended. */
  clipFraction: number;
  /** KL(π_old‖π), the k3 estimate, mean over tokens. */
  approximateKl: number;
  /** Largest |ρ − 1|. */
  ratioDistance: number;
}

/** Loss of a minibatch of responses under the clipped surrogate. Adds its gradient to the optimiser's. */
export async function policyStep(
  optimizer: Optimizer,
  examples: readonly PolicyExample[],
  { clip, temperature, weighting, maxNewTokens, kl }: PolicyLoss,
): Promise<PolicyMetrics> {
  const { model } = optimizer;
  const weights = weighted(examples, weighting, maxNewTokens);
  const losses: Tensor[] = [];
  const newLogProbs: number[] = [];
  for (const group of responseGroups(weights)) {
    const tokens = (of: (example: (typeof weights)[number]) => Float64Array): Tensor =>
      fromHost(model.backend, joined(group.map(of)));
    const tape = new Tape(leavesOf(optimizer));
    const [loss, logProbs] = tape.record((): [Tensor, Tensor] => {
      const logProbs = responseLogProbs(model, packResponses(group), temperature);
      const surrogate = clippedPolicyLoss(
        logProbs,
        tokens(({ logProbs }) => logProbs),
        tokens(({ advantages }) => advantages),
        clip,
      );
      const penalty =
        kl &&
        mul(
          klPenalty(
            kl.kind,
            logProbs,
            tokens(({ reference }) => reference),
          ),
          kl.coefficient,
        );
      const perToken = penalty ? add(surrogate, penalty) : surrogate;
      return [
        total(
          mul(
            perToken,
            tokens(({ weights }) => weights),
          ),
        ),
        logProbs,
      ];
    });
    tape.backward(loss);
    losses.push(loss);
    newLogProbs.push(...(await model.backend.read(logProbs)));
    logProbs.release();
  }
  const oldLogProbs = joined(examples.map(({ logProbs }) => logProbs));
  const advantages = joined(examples.map((example) => example.advantages));
  return {
    policyLoss: await sumOnHost(losses, optimizer.step + 1),
    clipFraction: clipFraction(newLogProbs, oldLogProbs, advantages, clip),
    approximateKl: mean(klEstimates('k3', oldLogProbs, newLogProbs)),
    ratioDistance: newLogProbs.reduce(
      (far, logProb, i) => Math.max(far, Math.abs(Math.expm1(logProb - oldLogProbs[i]!))),
      0,
    ),
  };
}

/** Clipped squared error of the critic, mean over the tokens of a minibatch. Adds its gradient to the optimiser's. */
export async function valueStep(
  optimizer: Optimizer,
  examples: readonly ValueExample[],
  valueClip: number,
): Promise<number> {
  const { model } = optimizer;
  const count = examples.reduce((sum, { response }) => sum + response.length, 0);
  const losses: Tensor[] = [];
  for (const group of responseGroups(examples)) {
    const tokens = (of: (example: ValueExample) => Float64Array): Tensor =>
      fromHost(model.backend, joined(group.map(of)));
    const tape = new Tape(leavesOf(optimizer));
    const loss = tape.record(() => {
      const values = responseValues(model, packResponses(group));
      const perToken = clippedValueLoss(
        values,
        tokens(({ values }) => values),
        tokens(({ returns }) => returns),
        valueClip,
      );
      return total(mul(perToken, 1 / count));
    });
    tape.backward(loss);
    losses.push(loss);
  }
  return sumOnHost(losses, optimizer.step + 1);
}

function weighted<E extends PolicyExample>(
  examples: readonly E[],
  weighting: TokenWeighting,
  maxNewTokens: number,
): (E & { weights: Float64Array })[] {
  const lengths = examples.map(({ response }) => response.length);
  const weights = tokenWeights(lengths, weighting, maxNewTokens);
  return examples.map((example, i) => ({ ...example, weights: new Float64Array(lengths[i]!).fill(weights[i]!) }));
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
