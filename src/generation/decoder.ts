import type { LayerWeights } from '../model/layer-weights.ts';
import {
  decoder,
  finalNormOf,
  headOf,
  identitiesFor,
  isComposed,
  type Model,
  residualStream,
  type SelfAttention,
} from '../model/model.ts';
import type { DecodingKernels, LayerCache } from '../tensor/backends/kernels/decoding.ts';
import { cachedAttention, type SequenceCache } from '../tensor/fused/cached-attention.ts';
import { linear } from '../tensor/fused/linear.ts';
import { normed } from '../tensor/fused/sub-layer.ts';
import { gather } from '../tensor/primitives.ts';
import { empty, fromHost, scope } from '../tensor/scope.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { kernelCaches, releaseCaches, sequenceCaches } from './cache.ts';

/** New tokens of one sequence. */
export interface NewTokens {
  sequence: number;
  /** Number of earlier tokens of the sequence, which are already in the cache. */
  position: number;
  /** Token ids; −1 − r is the token drawn in row r of the previous step, which has not been read yet. */
  tokens: ArrayLike<number>;
}

/** A model with a cache of the keys and values of several sequences. */
export interface Decoder {
  /**
   * Runs new tokens through the model and adds them to the cache. `drawn` are the tokens that negative ids refer to.
   * Returns the logits of the token after each sequence, [news, vocabulary], owned by the caller.
   */
  nextLogits(news: readonly NewTokens[], drawn?: Tensor): Tensor;
  release(): void;
}

/** @param capacity maximum length of a sequence in tokens; memory for all sequences is allocated at once */
export function openDecoder(model: Model, sequences: number, capacity: number): Decoder {
  const { decoding } = model.backend.kernels;
  const identities = identitiesFor(model);
  const opened = (step: Step, caches: readonly LayerCache[]): Decoder => ({
    nextLogits: stepping(model, step),
    release() {
      releaseCaches(caches);
      for (const identity of Object.values<Tensor>({ ...identities })) identity.release();
    },
  });
  if (decoding) {
    const caches = kernelCaches(model, decoding, sequences, capacity);
    return opened(fusedStep(model, decoding, caches, identities), caches);
  }
  const caches = sequenceCaches(model, sequences, capacity);
  return opened(composedStep(model, caches, identities), caches.flat());
}

type Identities = ReturnType<typeof identitiesFor>;

/** The logits of the rows `last`, [last, vocabulary]. */
type Step = (ids: Tensor, rows: Rows) => Tensor;

const stepping =
  ({ backend }: Model, step: Step): Decoder['nextLogits'] =>
  (news, drawn) => {
    const rows = layOut(news);
    const logits = (): Tensor => {
      const ids = fromHost(backend, rows.tokens);
      if (drawn) backend.kernels.sampling!.fillIn(drawn, ids);
      return step(ids, rows);
    };
    return scope(logits, { adopt: false });
  };

interface Rows {
  /** For each row: its token, its sequence, and its position in the sequence. */
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

/** A step composed of primitives: the definition of what the kernels compute. */
function composedStep(model: Model, caches: readonly (readonly SequenceCache[])[], identities: Identities): Step {
  const { backend } = model;
  return (ids, { sequences, positions, last }) => {
    const attend: SelfAttention = (x, { qkv, o }, shape, layer, norm) =>
      linear(cachedAttention(linear(normed(x, norm), qkv), { sequences, positions }, caches[layer]!, shape), o);
    const hidden = decoder(model, ids, attend, { identities });
    return linear(gather(hidden, fromHost(backend, last)), headOf(model));
  };
}

/** A step in kernels: one per layer if its wiring has one and its model family has no attention equation of its own. */
function fusedStep(
  model: Model,
  kernels: DecodingKernels,
  caches: readonly LayerCache[],
  identities: Identities,
): Step {
  const { backend, config } = model;
  const eps = config.rmsNormEps;
  return (ids, of) => {
    const rows = { sequences: fromHost(backend, of.sequences), positions: fromHost(backend, of.positions) };
    const last = fromHost(backend, of.last);
    const attend: SelfAttention = (x, weights, shape, layer, norm) => {
      const y = empty(backend, x.shape);
      kernels.selfAttention({ x, norm, weights, rows, cache: caches[layer]!, shape, y });
      return y;
    };
    const wholeLayer = (stream: Tensor, of: LayerWeights, layer: number) => {
      const { attention, mlp, junctions, shape, wiring } = of;
      const [first, second] = [junctions.attention.norms.norm?.fused, junctions.mlp.norms.norm?.fused];
      if (!wiring.decodingKernel || !kernels.layer || !first || !second || isComposed(of)) return undefined;
      const { qkv, o } = attention;
      const weights = { qkv, o, ...mlp, attentionNorm: first.weight, mlpNorm: second.weight };
      const postNorm = wiring.decodingKernel === 'post';
      // Of the last layer only the rows with logits are needed; of the others only the keys and values.
      const wanted = layer + 1 === config.layers && last.size < ids.size ? last : undefined;
      kernels.layer({ stream, weights, rows, cache: caches[layer]!, shape, eps, postNorm, wanted });
      return stream;
    };
    const stream = residualStream(model, ids, attend, { wholeLayer, identities });
    const norm = finalNormOf(model);
    if (!norm.fused) return linear(norm.apply(gather(stream, last)), headOf(model));
    const logits = empty(backend, [last.size, config.vocabSize]);
    kernels.nextLogits(stream, last, norm.fused, headOf(model), logits);
    return logits;
  };
}
