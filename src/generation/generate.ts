import { checkContext } from '../data/context.ts';
import type { Model } from '../model/model.ts';
import type { Sampling } from '../tensor/backends/kernels/sampling.ts';
import type { GeneratedToken } from './request.ts';
import { openSession } from './session.ts';

export interface GenerateOptions {
  maxNewTokens: number;
  /** Ids that end a sequence; the end token itself is not part of the result. */
  stopIds: readonly number[];
  sampling?: Sampling;
  /** Seed of the random numbers. Each prompt has its own stream of them, so its tokens do not depend on the others. */
  seed?: number;
  /** Index of each prompt among all texts of the seed, which selects its random stream; default 0, 1, … */
  indices?: readonly number[];
  /** Maximum number of prompts decoded together; default 64. */
  batchSize?: number;
  /** Report the log-probability of each token over the whole vocabulary, at the temperature it was sampled with. */
  logProbs?: boolean;
}

export interface Generation {
  tokens: Int32Array;
  /** The id of `stopIds` that ended the text; undefined if it reached maxNewTokens. */
  endId: number | undefined;
  /** If requested: log-probabilities of `tokens`, followed by that of the token that ended the text. */
  logProbs?: Float64Array;
}

/**
 * Continues each prompt (token ids, not empty). Opens a session for them and releases it.
 * @throws RunError if logits are not finite
 * @throws RequestError if a prompt and its new tokens may exceed the model's context
 */
export async function generate(
  model: Model,
  prompts: readonly Int32Array[],
  { indices, batchSize = 64, ...options }: GenerateOptions,
): Promise<Generation[]> {
  if (prompts.length === 0) return [];
  const capacity = capacityFor(prompts, options, model);
  const session = openSession(model, { sequences: Math.min(batchSize, prompts.length), capacity });
  try {
    const streams = prompts.map((prompt, i) =>
      session.submit({ ...options, prompt, index: indices?.[i] ?? i, name: `prompt ${i + 1}` }),
    );
    return await Promise.all(streams.map(collect));
  } finally {
    await session.release();
  }
}

/**
 * The maximum length of the texts in tokens, prompts included.
 * @throws RequestError if it exceeds the model's context
 */
export function capacityFor(
  prompts: readonly Int32Array[],
  { maxNewTokens }: Pick<GenerateOptions, 'maxNewTokens'>,
  { config }: Model,
): number {
  const lengths = prompts.map(({ length }) => length);
  const hint = 'lower maxNewTokens, shorten the prompts, or use a model with a longer context';
  checkContext(lengths, config.maxLength, { newTokens: maxNewTokens, hint });
  return lengths.reduce((a, b) => Math.max(a, b)) + maxNewTokens;
}

/** Reads a stream of tokens to its end. */
export async function collect(stream: AsyncIterable<GeneratedToken>): Promise<Generation> {
  const [tokens, logProbs]: [number[], number[]] = [[], []];
  let endId: number | undefined;
  for await (const { id, logProb, end } of stream) {
    if (end === 'stop') endId = id;
    else tokens.push(id);
    if (logProb !== undefined) logProbs.push(logProb);
  }
  const reported = logProbs.length > 0 && { logProbs: Float64Array.from(logProbs) };
  return { tokens: Int32Array.from(tokens), endId, ...reported };
}
