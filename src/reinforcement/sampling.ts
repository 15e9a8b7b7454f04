import { encodedPrompts } from '../data/prompts.ts';
import type { PromptRow } from '../data/rows.ts';
import { RunError } from '../errors.ts';
import type { Completion } from '../evaluation/completion.ts';
import type { MetricName, Metrics } from '../evaluation/metrics.ts';
import { rewardsOf } from '../evaluation/reward-sources.ts';
import { sampleCount } from '../evaluation/samples.ts';
import { scaledScores, withValues } from '../losses/running-moments.ts';
import { RandomStream } from '../random.ts';
import type { Sample } from '../runs/results.ts';
import { spendPrompts } from '../training/budget.ts';
import { type Baseline, driftWarnings, type Estimate, estimateOf } from '../training/drift.ts';
import { type Experience, responseKls, withLogProbs } from '../training/experience.ts';
import { shareOf } from '../training/ranks.ts';
import { type Rollout, rollOut } from '../training/rollout.ts';
import {
  assertFinite,
  assertKlBelow,
  assertNothingBehindEnd,
  assertSampledLogProbs,
  assertUntouchedPolicy,
} from '../training/rollout-checks.ts';
import { type RewardConfig, sourceNames } from './rewards.ts';
import type { ReinforcementRun } from './run.ts';
import { type ReinforcementConfig, type ReinforcementState, resultOf } from './state.ts';

/** Sampled responses with their rewards, and the metrics to report. */
export interface Sampled {
  experience: readonly Experience[];
  metrics: Metrics & { kl: number };
  rolloutSeconds: number;
}

/**
 * Samples `samplesPerPrompt` responses to each of the next prompts, computes their rewards and their log-probabilities
 * under policy and reference, and checks what must hold before the first update. If a reward fails, the state is left
 * unchanged.
 *
 * Each rank samples its share and then gathers all of them, so baselines, whitening, moments and metrics do not depend
 * on the number of ranks.
 * @throws RunError if a reward fails or a check does not hold
 */
export async function sampleExperience(
  config: ReinforcementConfig & { samplesPerPrompt: number },
  state: ReinforcementState,
  run: ReinforcementRun,
  iteration: number,
): Promise<Sampled> {
  const { model: policy, ranks } = state.optimizer;
  const { precision } = policy.backend;
  const { endIds } = state.tokenizer;
  const begun = performance.now();
  const place = state.cursor.state();
  const drawn = state.cursor.take(config.batchSize).map((row) => state.prompts[row]!);
  const prompts = drawn
    .flatMap((prompt) => Array.from({ length: config.samplesPerPrompt }, () => prompt))
    .map((prompt, index) => ({ ...prompt, index }));
  const seed = new RandomStream(run.seed, `rollout/${iteration}`).uint32();
  const rollouts = await rollOut(policy, shareOf(prompts, ranks), { ...config, endIds, seed });
  assertNothingBehindEnd(rollouts, endIds);
  const rewarded = await withRewards(rollouts, state.rows, state)
    .then((own) => ranks.gather(own))
    .catch((error: unknown) => {
      state.cursor.restore(place);
      if (error instanceof RunError) error.stateIsWhole = true;
      throw error;
    });
  state.scoreMoments = withValues(
    state.scoreMoments,
    rewarded.map(({ reward }) => reward),
  );
  const scored = withScores(rewarded, config, state);
  const rolloutSeconds = (performance.now() - begun) / 1000;

  const own = await withLogProbs(shareOf(scored, ranks), policy, state.reference, config.temperature);
  const experience = await ranks.gather(own);
  assertFinite(experience);
  const samplingDistance = assertSampledLogProbs(experience, precision);
  if (state.isReferenceFresh) assertUntouchedPolicy(experience, precision);
  const kl = mean(responseKls(experience));
  assertKlBelow(kl, config.maxKl);
  const entropy = sampledEntropy(experience);
  const metrics = {
    ...responseMetrics(scored),
    score: mean(scored.map(({ score }) => score)),
    kl,
    entropy,
    samplingDistance,
  };
  warnOfDrift(state, { entropy, ...estimates(scored) }, run);
  spendPrompts(state, drawn);
  return { experience, metrics, rolloutSeconds };
}

/** Metrics of greedy responses to held-out prompts: rewards in total and by source, length, and how many ended. */
export async function evaluateResponses(config: ReinforcementConfig, state: ReinforcementState): Promise<Metrics> {
  const rows = state.heldOut.slice(0, config.evalRows);
  if (rows.length === 0) return {};
  return responseMetrics(await greedyResponses(config, state, rows));
}

/** Greedy responses to the first prompts, held-out ones first, with their rewards. */
export async function sampleResponses(config: ReinforcementConfig, state: ReinforcementState): Promise<Sample[]> {
  const rows = [...state.heldOut, ...state.rows].slice(0, sampleCount);
  return (await greedyResponses(config, state, rows)).map(({ row, text, reward }) => {
    const { prompt, answer } = rows[row]!;
    const expected = answer === undefined ? {} : { expected: answer };
    return { prompt: prompt.at(-1)!.content, completion: text, ...expected, reward };
  });
}

async function greedyResponses(
  config: ReinforcementConfig,
  state: ReinforcementState,
  rows: readonly PromptRow[],
): Promise<Rewarded[]> {
  const options = { ...config, temperature: 0, endIds: state.tokenizer.endIds, seed: 0 };
  return withRewards(await rollOut(resultOf(state), encodedPrompts(rows, state.tokenizer), options), rows, state);
}

interface Rewarded extends Rollout {
  text: string;
  /** Weighted sum of all sources. */
  reward: number;
  /** Reward of each source, without its weight. */
  sources: Readonly<Record<string, number>>;
}

async function withRewards(
  rollouts: readonly Rollout[],
  rows: readonly PromptRow[],
  { tokenizer, sources }: Pick<ReinforcementState, 'tokenizer' | 'sources'>,
): Promise<Rewarded[]> {
  const completions = rollouts.map(({ row, prompt, response }): Completion => {
    const tokens = Int32Array.from([...prompt, ...response]);
    return { row, prompt: rows[row]!, text: tokenizer.decode(response, { skipSpecialTokens: true }), tokens };
  });
  const { total, bySource } = await rewardsOf(sources, completions);
  return rollouts.map((rollout, i) => ({
    ...rollout,
    text: completions[i]!.text,
    reward: total[i]!,
    sources: Object.fromEntries([...bySource].map(([name, rewards]) => [name, rewards[i]!])),
  }));
}

/**
 * Adds the scores that are learned from: rewards scaled, then clipped, then reduced by the penalty for no end token.
 */
function withScores<R extends Rewarded>(
  rewarded: readonly R[],
  { scoreScale, scoreClip = Number.POSITIVE_INFINITY, missingEosPenalty }: RewardConfig,
  { scoreMoments }: Pick<ReinforcementState, 'scoreMoments'>,
): (R & Pick<Experience, 'score'>)[] {
  const scaled = scaledScores(
    rewarded.map(({ reward }) => reward),
    scoreMoments,
    scoreScale,
  );
  return rewarded.map((response, i) => {
    const score = Math.max(-scoreClip, Math.min(scoreClip, scaled[i]!));
    return { ...response, score: response.ended ? score : score - missingEosPenalty };
  });
}

function estimates(rewarded: readonly Rewarded[]): Omit<Baseline, 'entropy'> & { endRate: number } {
  const names = Object.keys(rewarded[0]!.sources);
  const sourceEstimates = names.map((name): [string, Estimate] => [
    name,
    estimateOf(rewarded.map(({ sources }) => sources[name]!)),
  ]);
  return {
    reward: estimateOf(rewarded.map(({ reward }) => reward)),
    sources: Object.fromEntries(sourceEstimates),
    responseLength: mean(rewarded.map(({ response }) => response.length)),
    endRate: mean(rewarded.map(({ ended }) => Number(ended))),
  };
}

function responseMetrics(rewarded: readonly Rewarded[]): Metrics {
  const { reward, sources, responseLength, endRate } = estimates(rewarded);
  const bySource = Object.entries(sources).map(([name, { mean }]) => [name, mean]);
  return { reward: reward.mean, ...Object.fromEntries(bySource), responseLength, endRate };
}

/** Names of the metrics of responses to held-out prompts: rewards in total and by source, length, and end rate. */
export function responseMetricNames(config: RewardConfig): MetricName[] {
  return ['reward', ...sourceNames(config), 'responseLength', 'endRate'];
}

/** Entropy of the policy, estimated from the tokens it sampled: the mean of −log π, in nats per token. */
function sampledEntropy(experience: readonly Experience[]): number {
  return -mean(experience.flatMap(({ logProbs }) => [...logProbs]));
}

function warnOfDrift(state: ReinforcementState, now: Baseline & { endRate: number }, { log }: ReinforcementRun): void {
  const { endRate, ...present } = now;
  state.baseline ??= present;
  for (const [cause, sentence] of driftWarnings(state.baseline, now)) {
    if (!state.warned.has(cause)) log(`warning: ${sentence}`);
    state.warned.add(cause);
  }
}

function mean(x: readonly number[]): number {
  return x.reduce((a, b) => a + b, 0) / x.length;
}
