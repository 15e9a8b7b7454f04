import type { PromptRow } from '../data/rows.ts';
import { type Completion, rewardsOf } from '../evaluation/reward-sources.ts';
import { RandomStream } from '../random.ts';
import {
  type Experience,
  minibatchesOf,
  type PolicyExample,
  responseKls,
  withLogProbs,
} from '../training/experience.ts';
import { update } from '../training/optimizer.ts';
import { type PolicyLoss, policyStep } from '../training/proximal-policy.ts';
import { type PromptTokens, type Rollout, rollOut } from '../training/rollout.ts';
import {
  assertKlBelow,
  assertSameWeights,
  assertSampledLogProbs,
  assertUntouchedPolicy,
  assertUntouchedRatio,
  type Baseline,
  driftWarnings,
  weightsChecksum,
} from '../training/rollout-checks.ts';
import { encodedPrompts, iterationsOf, type ReinforcementConfig, type ReinforcementState } from './reinforcement.ts';
import type { Metrics, StageRun } from './stage.ts';

/** What one iteration samples, and what there is to report of it. */
export interface Sampled {
  experience: Experience[];
  metrics: Metrics & Baseline & { kl: number; endRate: number };
  rolloutSeconds: number;
}

/**
 * Samples `samplesPerPrompt` responses to each of the next prompts, rewards them, and computes their log-probabilities
 * under policy and reference. Checks what must hold before the first update.
 */
export async function sampleExperience(
  config: ReinforcementConfig & { samplesPerPrompt: number },
  state: ReinforcementState,
  run: StageRun,
  iteration: number,
): Promise<Sampled> {
  const { model: policy } = state.optimizer;
  const { precision } = policy.backend;
  const begun = performance.now();
  const prompts = nextPrompts(state, config.batchSize).flatMap((prompt) =>
    Array.from({ length: config.samplesPerPrompt }, () => prompt),
  );
  const seed = new RandomStream(run.seed, `rollout/${iteration}`).uint32();
  const rollouts = await rollOut(policy, prompts, { ...config, endId: state.tokenizer.eosId, seed });
  const scored = await withScores(rollouts, state.rows, config, state);
  const rolloutSeconds = (performance.now() - begun) / 1000;

  const experience = await withLogProbs(scored.rollouts, policy, state.reference, config.temperature);
  const samplingDistance = assertSampledLogProbs(experience, precision);
  if (iteration === 1) assertUntouchedPolicy(experience, precision);
  const kl = mean(responseKls(experience));
  assertKlBelow(kl, config.maxKl);
  const metrics = { ...scored.metrics, kl, entropy: sampledEntropy(experience), samplingDistance };
  warnOfDrift(state, metrics, run);
  return { experience, metrics, rolloutSeconds };
}

/** The prompts of an iteration; at the end of an epoch, the first of the next fill it up. */
function nextPrompts({ cursor, prompts }: ReinforcementState, count: number): PromptTokens[] {
  const chosen: PromptTokens[] = [];
  while (chosen.length < count) chosen.push(...cursor.next(count - chosen.length).map((index) => prompts[index]!));
  return chosen;
}

/** The entropy of the policy, estimated from the log-probabilities of what it sampled: mean of −log π, nats a token. */
function sampledEntropy(experience: readonly Experience[]): number {
  const all = experience.flatMap(({ logProbs }) => [...logProbs]);
  return -mean(all);
}

type Scored = Rollout & Pick<Experience, 'score'>;

async function withScores(
  rollouts: readonly Rollout[],
  rows: readonly PromptRow[],
  { scoreClip = Number.POSITIVE_INFINITY, missingEosPenalty }: ReinforcementConfig,
  { tokenizer, sources }: Pick<ReinforcementState, 'tokenizer' | 'sources'>,
): Promise<{ rollouts: Scored[]; metrics: Metrics & Omit<Baseline, 'entropy'> & { endRate: number } }> {
  const completions = rollouts.map(({ row, prompt, response }): Completion => {
    const tokens = Int32Array.of(...prompt, ...response);
    return { row, prompt: rows[row]!, text: tokenizer.decode(response, { skipSpecialTokens: true }), tokens };
  });
  const { total, bySource } = await rewardsOf(sources, completions);
  const scored = rollouts.map((rollout, i): Scored => {
    const score = Math.max(-scoreClip, Math.min(scoreClip, total[i]!));
    return { ...rollout, score: rollout.ended ? score : score - missingEosPenalty };
  });
  return {
    rollouts: scored,
    metrics: {
      reward: mean(scored.map(({ score }) => score)),
      ...Object.fromEntries([...bySource].map(([name, rewards]) => [name, mean(rewards)])),
      responseLength: mean(rollouts.map(({ response }) => response.length)),
      endRate: mean(rollouts.map(({ ended }) => Number(ended))),
    },
  };
}

function warnOfDrift(state: ReinforcementState, now: Baseline & { endRate: number }, { log }: StageRun): void {
  const { entropy, responseLength, reward } = now;
  state.baseline ??= { entropy, responseLength, reward };
  for (const [cause, sentence] of driftWarnings(state.baseline, now)) {
    if (!state.warned.has(cause)) log(`warning: ${sentence}`);
    state.warned.add(cause);
  }
}

/** Updates of the policy alone, `minibatches` in each pass; their mean metrics. */
export async function policyUpdates(
  examples: readonly PolicyExample[],
  loss: PolicyLoss,
  config: ReinforcementConfig & { passes: number },
  { optimizer, prompts }: ReinforcementState,
  { name, seed }: { name: string; seed: number },
): Promise<Metrics> {
  const totalUpdates = iterationsOf(config, prompts.length) * config.passes * config.minibatches;
  const reports: Metrics[] = [];
  for (const minibatch of minibatchesOf(examples, { ...config, seed, name })) {
    const { ratioDistance, ...report } = await policyStep(optimizer, minibatch, loss);
    if (reports.length === 0) assertUntouchedRatio({ ...report, ratioDistance }, optimizer.model.backend.precision);
    reports.push({ ...report, ...(await update(optimizer, config, totalUpdates)) });
  }
  return meanMetrics(reports);
}

/** Greedy responses to held-out prompts: their mean score, what each source gives, lengths and ends. */
export async function evaluateResponses(config: ReinforcementConfig, state: ReinforcementState): Promise<Metrics> {
  const rows = state.heldOut.slice(0, config.evalRows);
  if (rows.length === 0) return {};
  const { tokenizer, optimizer } = state;
  const options = { ...config, temperature: 0, endId: tokenizer.eosId, seed: 0 };
  const rollouts = await rollOut(optimizer.model, encodedPrompts(rows, tokenizer), options);
  return (await withScores(rollouts, rows, config, state)).metrics;
}

/** Every so many iterations, and at the end, the reference is compared with what it was. */
export async function checkReference(state: ReinforcementState, iteration: number, last: number): Promise<void> {
  if (iteration % 50 !== 0 && iteration !== last) return;
  assertSameWeights(state.referenceChecksum, await weightsChecksum(state.reference));
}

/** Mean of each metric over the updates of an iteration. */
export function meanMetrics(updates: readonly Metrics[]): Metrics {
  const names = Object.keys(updates[0]!);
  return Object.fromEntries(names.map((name) => [name, mean(updates.map((update) => update[name]!))]));
}

/** Tokens and speeds of an iteration, sampling and updating apart. */
export function speeds(
  experience: readonly Experience[],
  rolloutSeconds: number,
  updating: { seconds: number; passes: number },
): { tokens: number; rolloutTokensPerSecond: number; updateTokensPerSecond: number } {
  const tokens = experience.reduce((sum, { response }) => sum + response.length, 0);
  return {
    tokens,
    rolloutTokensPerSecond: tokens / rolloutSeconds,
    updateTokensPerSecond: (tokens * updating.passes) / updating.seconds,
  };
}

function mean(x: readonly number[]): number {
  return x.reduce((a, b) => a + b, 0) / x.length;
}
