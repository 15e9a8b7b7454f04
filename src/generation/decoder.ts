import type { LayerWeights } from '../model/layer-weights.ts';
import { decoder, finalNormOf, headOf, type Model, residualStream, type SelfAttention } from '../model/model.ts';
import { cachedAttention, type LayerCache } from '../tensor/fused/cached-attention.ts';
import { linear } from '../tensor/fused/linear.ts';
import { normed } from '../tensor/fused/sub-layer.ts';
import { gather } from '../tensor/primitives.ts';
import { empty, fromHost, scope } from '../tensor/scope.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { grownCache, type KeyValueCache, newCache, releaseCache } from './cache.ts';

/** New tokens of one sequence. */
export interface NewTokens {
  sequence: number;
  /** Tokens of the sequence before them, which are in the cache. */
  position: number;
  /** Ids; −1 − r stands for the token that was drawn in row r of a step whose tokens were not read yet. */
  tokens: ArrayLike<number>;
}

/** A model over the cached keys and values of `sequences` sequences. */
export interface Decoder {
  /**
   * Puts new tokens through the model and into the cache: logits of what follows each, [news, vocabulary], owned by the
   * caller.
   */
  nextLogits(news: readonly NewTokens[], drawn?: Tensor): Tensor;
  release(): void;
}

/** @param longest tokens that a sequence may come to hold; the cache grows up to that */
export function openDecoder(model: Model, sequences: number, longest: number): Decoder {
  const step = model.backend.fused.cachedSelfAttention ? fusedStep(model) : composedStep(model);
  let cache: KeyValueCache | undefined;
  const cacheFor = (length: number): KeyValueCache => {
    if (cache && length <= cache.capacity) return cache;
    const capacity = Math.min(longest, 2 * length);
    return cache ? grownCache(model, cache, capacity) : newCache(model, sequences, capacity);
  };
  return {
    nextLogits(news, drawn) {
      const rows = layOut(news);
      const needed = 1 + rows.positions.reduce((a, b) => Math.max(a, b), 0);
      cache = cacheFor(needed);
      const { layers } = cache;
      return scope(() => step({ ...rows, drawn }, layers), { adopt: false });
    },
    release: () => cache && releaseCache(cache),
  };
}

interface Rows {
  /** Of each row: its token, its sequence, and its position there. */
  tokens: Int32Array;
  sequences: Int32Array;
  positions: Int32Array;
  /** The last row of each sequence. */
  last: Int32Array;
}

function layOut(news: readonly NewTokens[]): Rows {
  const count = news.reduce((sum, { tokens }) => sum + tokens.length, 0);
  const [tokens, sequences, positions] = [new Int32Array(count), new Int32Array(count), new Int32Array(count)];
  const last = new Int32Array(news.length);
  let row = 0;
  for (const [i, fresh] of news.entries()) {
    for (let t = 0; t < fresh.tokens.length; t++, row++) {
      tokens[row] = fresh.tokens[t]!;
      sequences[row] = fresh.sequence;
      positions[row] = fresh.position + t;
    }
    last[i] = row - 1;
  }
  return { tokens, sequences, positions, last };
}

type Step = (rows: Rows & { drawn: Tensor | undefined }, cache: readonly LayerCache[]) => Tensor;

/** What a step means. */
function composedStep(model: Model): Step {
  const { backend } = model;
  return ({ tokens, sequences, positions, last }, cache) => {
    const attend: SelfAttention = (x, { qkv, o }, shape, layer, norm) =>
      linear(cachedAttention(linear(normed(x, norm), qkv), { sequences, positions }, cache[layer]!, shape), o);
    const hidden = decoder(model, fromHost(backend, tokens), attend);
    return linear(gather(hidden, fromHost(backend, last)), headOf(model));
  };
}

/** A step in kernels: one operation for a layer where its wiring has one. */
function fusedStep(model: Model): Step {
  const { backend, config } = model;
  const { fused } = backend;
  const eps = config.rmsNormEps;
  return ({ tokens, drawn, ...rows }, cache) => {
    const [sequences, positions] = [fromHost(backend, rows.sequences), fromHost(backend, rows.positions)];
    const ids = fromHost(backend, tokens);
    if (drawn) fused.drawnTokens!(drawn, ids);
    const last = fromHost(backend, rows.last);
    const attend: SelfAttention = (x, { qkv, o }, shape, layer, norm) => {
      const { keys, values } = cache[layer]!;
      const y = empty(backend, x.shape);
      fused.cachedSelfAttention!(x, norm, qkv, o, sequences, positions, keys, values, y, shape);
      return y;
    };
    const wholeLayer = (stream: Tensor, { attention, mlp, own, shape, wiring }: LayerWeights, layer: number) => {
      if (!wiring.decodingKernel) return undefined;
      const { keys, values } = cache[layer]!;
      const norms = { attentionNorm: own.attention.norm!, mlpNorm: own.mlp.norm! };
      const weights = { ...attention, ...mlp, ...norms };
      const post = wiring.decodingKernel === 'post';
      // Of the last layer's rows only those are needed whose logits are; the others leave their keys and values.
      const wanted = layer + 1 === config.layers && last.size < ids.size ? last : undefined;
      fused.decoderLayer!(stream, sequences, positions, keys, values, weights, shape, eps, post, wanted);
      return stream;
    };
    const stream = residualStream(model, ids, attend, { wholeLayer });
    const logits = empty(backend, [rows.last.length, config.vocabSize]);
    fused.nextLogits!(stream, last, finalNormOf(model), headOf(model), logits, eps);
    return logits;
  };
}
