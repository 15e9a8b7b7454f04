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
  /** Each prompt draws from a stream of its own, so its tokens do not depend on the others. */
  seed?: number;
  /** Of the prompts among all texts of the seed, which their draws depend on; default 0, 1, … */
  indices?: readonly number[];
  /** Prompts decoded together. */
  batchSize?: number;
  /** Report the log-probability of each token at the temperature that it was drawn at, over the whole vocabulary. */
  logProbs?: boolean;
}

export interface Generation {
  tokens: Int32Array;
  /** Of `stopIds` the one that ended the text; undefined where maxNewTokens did. */
  endId: number | undefined;
  /** Where asked for: of `tokens`, and after them of the token that ended the text. */
  logProbs?: Float64Array;
}

/**
 * Continues each prompt (token ids, not empty), in a session of its own.
 * @throws RunError where logits are not finite
 * @throws RequestError where a prompt and its new tokens may become longer than the model's context
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

/** Tokens that the longest text may come to hold. @throws RequestError where the model's context is shorter */
export function capacityFor(
  prompts: readonly Int32Array[],
  { maxNewTokens }: Pick<GenerateOptions, 'maxNewTokens'>,
  { config }: Model,
): number {
  const lengths = prompts.map(({ length }) => length);
  const hint = 'lower maxNewTokens, shorten the prompts, or take a model with a longer context';
  checkContext(lengths, config.maxLength, { newTokens: maxNewTokens, hint });
  return lengths.reduce((a, b) => Math.max(a, b)) + maxNewTokens;
}

/** Reads a stream to its end. */
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
