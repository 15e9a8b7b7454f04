import { generate } from '../generation/generate.ts';
import { unfiltered } from '../generation/sampler.ts';
import type { Model } from '../model/model.ts';

/** A response of the policy to a prompt. */
export interface Rollout {
  /** Index of the prompt among the rows of the data. */
  row: number;
  prompt: Int32Array;
  /** The sampled tokens, up to and including the end token; never empty. */
  response: Int32Array;
  /** Whether the response has an end token, rather than being cut off at `maxNewTokens`. */
  ended: boolean;
  /** log π of each token, as computed when it was sampled, [tokens]. */
  sampledLogProbs: Float64Array;
}

export interface PromptTokens {
  /** Index among the rows of the data. */
  row: number;
  tokens: Int32Array;
  /** Index among all prompts of the seed, which selects its random numbers; default: its index in the call. */
  index?: number;
}

export interface RolloutOptions {
  /** 0 = greedy. */
  temperature: number;
  maxNewTokens: number;
  /** Tokens that end a response; if empty, all responses are cut off. */
  endIds: readonly number[];
  /** Seed of the random numbers, which are different for each prompt. */
  seed: number;
}

/** Rollouts decoded together, which limits the memory for keys and values. */
const rolloutsAtOnce = 128;

/** Samples one response to each prompt from the policy's distribution, without top-k or top-p. */
export async function rollOut(
  policy: Model,
  prompts: readonly PromptTokens[],
  { temperature, maxNewTokens, endIds, seed }: RolloutOptions,
): Promise<Rollout[]> {
  const generations = await generate(
    policy,
    prompts.map(({ tokens }) => tokens),
    {
      maxNewTokens,
      stopIds: endIds,
      sampling: { ...unfiltered, temperature },
      seed,
      indices: prompts.map(({ index }, i) => index ?? i),
      batchSize: rolloutsAtOnce,
      logProbs: true,
    },
  );
  return generations.map(({ tokens, endId, logProbs }, i) => {
    const { row, tokens: prompt } = prompts[i]!;
    const response = endId === undefined ? tokens : Int32Array.from([...tokens, endId]);
    return { row, prompt, response, ended: endId !== undefined, sampledLogProbs: logProbs! };
  });
}
