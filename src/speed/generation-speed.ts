import { collect } from '../generation/generate.ts';
import { openSession } from '../generation/session.ts';
import type { Model } from '../model/model.ts';
import { parameterCount } from '../model/parameters.ts';
import { RandomStream } from '../random.ts';
import type { OperationCost } from '../tensor/backends/backend.ts';
import { costsSince, costsSoFar } from './operation-costs.ts';

export interface GenerationSpeed {
  /** New tokens of all sequences per second of the whole run, prompts included. */
  tokensPerSecond: number;
  /** Prompt tokens of all sequences per second, up to the first new token of each. */
  prefillTokensPerSecond: number;
  /** New tokens of all sequences per second after the first of each; undefined if there is only one. */
  decodeTokensPerSecond: number | undefined;
  parameters: number;
  /** Peak resident memory of the process. */
  peakRssBytes: number;
  /** Cost of each operation over all timed runs; empty if the backend does not count. */
  costs: OperationCost[];
}

/**
 * Times greedy generation from random prompts without stop tokens. After a warm-up run, takes the fastest of `rounds`
 * for the whole run, for the time to the first new token of every sequence, and for the rest.
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
  const run = async () => {
    const begun = performance.now();
    const session = openSession(model, { sequences: batch, capacity: promptTokens + newTokens });
    const streams = prompts.map((prompt) => session.submit({ prompt, maxNewTokens: newTokens, stopIds: [] }));
    await Promise.all(streams.map((stream) => stream.next()));
    const first = performance.now();
    await Promise.all(streams.map(collect));
    const last = performance.now();
    await session.release();
    return { prefill: (first - begun) / 1000, decode: (last - first) / 1000, whole: (last - begun) / 1000 };
  };
  await run();
  const before = await costsSoFar(model.backend);
  const timed: Awaited<ReturnType<typeof run>>[] = [];
  for (let round = 0; round < rounds; round++) timed.push(await run());
  const fastest = (part: 'prefill' | 'decode' | 'whole') => Math.min(...timed.map((times) => times[part]));
  return {
    tokensPerSecond: (batch * newTokens) / fastest('whole'),
    prefillTokensPerSecond: (batch * promptTokens) / fastest('prefill'),
    decodeTokensPerSecond: newTokens > 1 ? (batch * (newTokens - 1)) / fastest('decode') : undefined,
    parameters: parameterCount(model.config),
    peakRssBytes: process.resourceUsage().maxRSS * 1024,
    costs: await costsSince(before, model.backend),
  };
}
