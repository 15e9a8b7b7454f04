import type { Metrics } from '../evaluation/metrics.ts';
import { mixInto } from '../model/weights.ts';
import { spendResponses } from '../training/budget.ts';
import { minibatchesOf, type PolicyExample } from '../training/experience.ts';
import { type UpdateReport, update } from '../training/optimizer.ts';
import { type PolicyLoss, policyStep } from '../training/proximal-policy.ts';
import { assertSameWeights, assertUntouchedRatio, weightsChecksum } from '../training/rollout-checks.ts';
import { pretrainingStep } from './pretraining-mix.ts';
import type { Sampled } from './sampling.ts';
import type { Iteration, ReinforcementConfig, ReinforcementState } from './state.ts';

type Updating = ReinforcementConfig & { passes: number };

/** The number, from 1, of the iteration that is under way or comes next. */
export function iterationNumber(
  { passes, minibatches }: Updating,
  { optimizer, iteration }: ReinforcementState,
): number {
  return (optimizer.step - (iteration?.updates.length ?? 0)) / (passes * minibatches) + 1;
}

/** Starts an iteration: `prepare` turns the sampled experience into the examples that are learned from. */
export async function beginIteration<Example extends PolicyExample>(
  { experience, metrics, rolloutSeconds }: Sampled,
  prepare: (experience: Sampled['experience']) => Promise<{ examples: Example[]; metrics: Metrics }>,
): Promise<Iteration<Example>> {
  const begun = performance.now();
  const prepared = await prepare(experience);
  const updateSeconds = (performance.now() - begun) / 1000;
  return {
    examples: prepared.examples,
    metrics: { ...metrics, ...prepared.metrics },
    updates: [],
    rolloutSeconds,
    updateSeconds,
  };
}

/** The minibatches of an iteration that are left to learn from; seed and name determine their order. */
export function minibatchesLeft<Example extends PolicyExample>(
  { examples, updates }: Iteration<Example>,
  options: Updating & { seed: number; name: string },
): Generator<Example[]> {
  return minibatchesOf(examples, options, updates.length);
}

/** Runs one update of an iteration and records its metrics and its time. */
export async function updateIteration(iteration: Iteration, learn: () => Promise<Metrics>): Promise<void> {
  const begun = performance.now();
  iteration.updates.push(await learn());
  iteration.updateSeconds += (performance.now() - begun) / 1000;
}

/** Adds the gradient of the policy loss; in the first update of an iteration, checks that all ratios are 1. */
export async function policyGradient(
  { optimizer, iteration }: ReinforcementState,
  minibatch: readonly PolicyExample[],
  loss: PolicyLoss,
): Promise<Metrics> {
  const { ratioDistance, ...report } = await policyStep(optimizer, minibatch, loss);
  if (iteration?.updates.length === 0) {
    assertUntouchedRatio({ ...report, ratioDistance }, optimizer.model.backend.precision);
  }
  return report;
}

/** Adds the gradient of the pre-training text if there is one, then updates the policy and its moving average. */
export async function updatePolicy(
  config: Updating,
  state: ReinforcementState,
  { responses, totalUpdates }: { responses: number; totalUpdates: number },
): Promise<Metrics & UpdateReport> {
  const { optimizer, pretraining, average } = state;
  const mixed = pretraining ? await pretrainingStep(optimizer, pretraining, config, responses) : {};
  const report = await update(optimizer, config, totalUpdates);
  state.isReferenceFresh = false;
  if (average && config.averageDecay !== undefined) mixInto(average, optimizer.model, 1 - config.averageDecay);
  return { ...mixed, ...report };
}

/** Ends an iteration: checks the reference, updates it from the policy if due, and returns the metrics to record. */
export async function endIteration(
  config: Updating,
  state: ReinforcementState,
  iteration: Iteration,
  { step, totalSteps }: { step: number; totalSteps: number },
): Promise<Metrics & { step: number; totalSteps: number }> {
  if (step % 50 === 0 || step === totalSteps) await checkReference(state);
  if (config.referenceEvery !== undefined && step % config.referenceEvery === 0) await moveReference(config, state);
  spendResponses(state, iteration.examples, config.passes);
  state.iteration = undefined;
  return {
    step,
    totalSteps,
    ...iteration.metrics,
    ...meanMetrics(iteration.updates),
    ...speeds(iteration, config.passes),
  };
}

async function checkReference({ reference, referenceChecksum }: ReinforcementState): Promise<void> {
  assertSameWeights(referenceChecksum, await weightsChecksum(reference));
}

async function moveReference({ referenceMix }: ReinforcementConfig, state: ReinforcementState): Promise<void> {
  await checkReference(state);
  mixInto(state.reference, state.optimizer.model, referenceMix);
  state.referenceChecksum = await weightsChecksum(state.reference);
  state.hasReferenceMoved = true;
  state.isReferenceFresh = referenceMix === 1;
}

/** The mean of each metric over the updates of an iteration. */
function meanMetrics(updates: readonly Metrics[]): Metrics {
  const meanOf = (name: string): number => updates.reduce((sum, update) => sum + update[name]!, 0) / updates.length;
  return Object.fromEntries(Object.keys(updates[0]!).map((name) => [name, meanOf(name)]));
}

/** Tokens of an iteration, and the speeds of sampling and updating. */
function speeds({ examples, rolloutSeconds, updateSeconds }: Iteration, passes: number): Metrics {
  const tokens = examples.reduce((sum, { response }) => sum + response.length, 0);
  return {
    tokens,
    rolloutTokensPerSecond: tokens / rolloutSeconds,
    updateTokensPerSecond: (tokens * passes) / updateSeconds,
  };
}
