import { generate } from '../generation/generate.ts';
import type { Model } from '../model/model.ts';
import { parameterCount } from '../model/parameters.ts';
import { RandomStream } from '../random.ts';
import type { OperationCost } from '../tensor/backends/native.ts';
import { costsSince, costsSoFar } from './operation-costs.ts';

export interface GenerationSpeed {
  /** New tokens of all sequences in a second of the whole, prompts included. */
  tokensPerSecond: number;
  /** Prompt tokens of all sequences in a second, up to the first new token of each. */
  prefillTokensPerSecond: number;
  /** New tokens of all sequences in a second, after the first of each; undefined where these took no measurable time. */
  decodeTokensPerSecond: number | undefined;
  parameters: number;
  /** Most memory that the process has held. */
  peakRssBytes: number;
  /** Of all timed runs; empty on a backend that does not count. */
  costs: OperationCost[];
}

/**
 * Times greedy generation from random prompts that all run to the end, after one run that is not counted: the fastest
 * of `rounds` to the first new token, and of as many to the last.
 */
export async function generationSpeed(
  model: Model,
  options: { batch: number; promptTokens: number; newTokens: number; rounds: number },
): Promise<GenerationSpeed> {
  const { batch, promptTokens, newTokens, rounds } = options;
  const random = new RandomStream(1, 'bench');
  const prompts = Array.from({ length: batch }, () =>
    Int32Array.from({ length: promptTokens }, () => random.integer(model.config.vocabSize)),
  );
  const secondsOf = async (maxNewTokens: number) => {
    const begun = performance.now();
    await generate(model, prompts, { maxNewTokens, stopIds: [], batchSize: batch });
    return (performance.now() - begun) / 1000;
  };
  await secondsOf(newTokens);
  const before = await costsSoFar(model.backend);
  let [prefill, whole] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  for (let round = 0; round < rounds; round++) {
    prefill = Math.min(prefill, await secondsOf(1));
    if (newTokens > 1) whole = Math.min(whole, await secondsOf(newTokens));
  }
  return {
    tokensPerSecond: (batch * newTokens) / (newTokens > 1 ? whole : prefill),
    prefillTokensPerSecond: (batch * promptTokens) / prefill,
    decodeTokensPerSecond: whole > prefill && newTokens > 1 ? (batch * (newTokens - 1)) / (whole - prefill) : undefined,
    parameters: parameterCount(model.config),
    peakRssBytes: process.resourceUsage().maxRSS * 1024,
    costs: await costsSince(before, model.backend),
  };
}
