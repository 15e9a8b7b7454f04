import { attentionShape, decoder, headOf, type Model } from '../model/model.ts';
import { RandomStream } from '../random.ts';
import { cachedAttention } from '../tensor/fused/cached-attention.ts';
import { linear } from '../tensor/fused/linear.ts';
import { gather } from '../tensor/primitives.ts';
import { fromHost, scope } from '../tensor/scope.ts';
import { type KeyValueCache, newCache, releaseCache } from './cache.ts';
import { greedy, type Sampling, sampleToken, tokenLogProb } from './sampler.ts';

export interface GenerateOptions {
  maxNewTokens: number;
  /** Ids that end a sequence; the end token itself is not part of the result. */
  stopIds: readonly number[];
  sampling?: Sampling;
  /** Each prompt draws from a stream of its own, so its tokens do not depend on the others. */
  seed?: number;
  /** Prompts decoded together. */
  batchSize?: number;
  /** Report the log-probability of each token at the temperature that it was drawn at, over the whole vocabulary. */
  logProbs?: boolean;
}

export interface Generation {
  tokens: Int32Array;
  /** False where maxNewTokens ended the text. */
  ended: boolean;
  /** Where asked for: of `tokens`, and behind them of the token that ended the text. */
  logProbs?: Float64Array;
}

/** Continues each prompt (token ids, not empty). Sequences that end leave the batch. */
export async function generate(
  model: Model,
  prompts: readonly Int32Array[],
  options: GenerateOptions,
): Promise<Generation[]> {
  const { batchSize = 64 } = options;
  const results: Generation[] = [];
  for (let first = 0; first < prompts.length; first += batchSize) {
    results.push(...(await generateBatch(model, prompts.slice(first, first + batchSize), first, options)));
  }
  return results;
}

async function generateBatch(
  model: Model,
  prompts: readonly Int32Array[],
  firstIndex: number,
  { maxNewTokens, stopIds, sampling = greedy, seed = 0, logProbs: wanted = false }: GenerateOptions,
): Promise<Generation[]> {
  const capacity = Math.max(...prompts.map((prompt) => prompt.length)) + maxNewTokens;
  const cache = newCache(model, prompts.length, capacity);
  const sequences = prompts.map((prompt, index) => ({
    index,
    fresh: Array.from(prompt),
    position: 0,
    generated: [] as number[],
    logProbs: [] as number[],
    ended: false,
    random: new RandomStream(seed, `sample/${firstIndex + index}`),
  }));
  try {
    for (let step = 0; step < maxNewTokens; step++) {
      const open = sequences.filter(({ ended }) => !ended);
      if (open.length === 0) break;
      const logits = await nextLogits(model, cache, open);
      const vocabulary = model.config.vocabSize;
      open.forEach((sequence, row) => {
        const rowLogits = logits.subarray(row * vocabulary, (row + 1) * vocabulary);
        const token = sampleToken(rowLogits, sampling, sequence.random);
        if (wanted) sequence.logProbs.push(tokenLogProb(rowLogits, token, sampling.temperature));
        sequence.position += sequence.fresh.length;
        sequence.fresh = [token];
        if (stopIds.includes(token)) sequence.ended = true;
        else sequence.generated.push(token);
      });
    }
  } finally {
    releaseCache(cache);
  }
  return sequences.map(({ generated, logProbs, ended }) => ({
    tokens: Int32Array.from(generated),
    ended,
    ...(wanted ? { logProbs: Float64Array.from(logProbs) } : {}),
  }));
}

interface OpenSequence {
  index: number;
  /** Tokens that are not in the cache yet. */
  fresh: readonly number[];
  /** Tokens that are. */
  position: number;
}

/** Puts the fresh tokens of all sequences through the model: logits of the last one of each, [sequences, vocabulary]. */
async function nextLogits(
  model: Model,
  cache: KeyValueCache,
  sequences: readonly OpenSequence[],
): Promise<Float32Array | Float64Array> {
  const { backend } = model;
  const tokens = Int32Array.from(sequences.flatMap(({ fresh }) => fresh));
  const owners = Int32Array.from(sequences.flatMap(({ index, fresh }) => fresh.map(() => index)));
  const positions = Int32Array.from(sequences.flatMap(({ position, fresh }) => fresh.map((_, i) => position + i)));
  let end = -1;
  const lastRows = Int32Array.from(sequences, ({ fresh }) => (end += fresh.length));
  const logits = scope(
    () => {
      const rows = {
        sequences: owners,
        positions,
        sequencesTensor: fromHost(backend, owners),
        positionsTensor: fromHost(backend, positions),
      };
      const shape = attentionShape(model.config);
      const hidden = decoder(model, tokens, (x, { qkv, o }, layer) =>
        linear(cachedAttention(linear(x, qkv), rows, cache.layers[layer]!, shape), o),
      );
      return linear(gather(hidden, fromHost(backend, lastRows)), headOf(model));
    },
    { adopt: false },
  );
  try {
    return (await backend.read(logits)) as Float32Array | Float64Array;
  } finally {
    logits.release();
  }
}
