import type { Model } from '../model/model.ts';
import type { LayerCache } from '../tensor/fused/cached-attention.ts';
import { empty, filled } from '../tensor/scope.ts';
import type { Tensor } from '../tensor/tensor.ts';

/** Keys and values of `sequences` sequences of up to `capacity` tokens, for every layer. */
export interface KeyValueCache {
  layers: readonly LayerCache[];
  sequences: number;
  capacity: number;
}

export function newCache({ backend, config }: Model, sequences: number, capacity: number): KeyValueCache {
  const { kvHeads, headDim } = config;
  // The kernel keeps operands and reads only what was written; the composition multiplies the rest by zero.
  const shapes = backend.fused.cachedSelfAttention && backend.fused.cacheShapes!(headDim, capacity);
  const make = (ofHead: readonly number[] | undefined): Tensor =>
    ofHead
      ? empty(backend, [sequences, kvHeads, ...ofHead], 'operand')
      : filled(backend, [sequences, kvHeads, capacity, headDim], 0);
  const layers = Array.from({ length: config.layers }, () => ({
    keys: make(shapes?.keys),
    values: make(shapes?.values),
  }));
  return { layers, sequences, capacity };
}

/** The same keys and values with room for `capacity` tokens; the given cache is released. */
export function grownCache(model: Model, cache: KeyValueCache, capacity: number): KeyValueCache {
  const grown = newCache(model, cache.sequences, capacity);
  for (const [i, { keys, values }] of cache.layers.entries()) {
    place(keys, grown.layers[i]!.keys);
    place(values, grown.layers[i]!.values);
  }
  releaseCache(cache);
  return grown;
}

/** Copies a tensor to the beginning of a larger one of the same shape but for the axis of its tokens. */
function place(from: Tensor, to: Tensor): void {
  const axis = from.shape.findIndex((size, i) => size !== to.shape[i]);
  from.backend.place(from, Math.max(0, axis), 0, to);
}

export function releaseCache({ layers }: KeyValueCache): void {
  for (const { keys, values } of layers) {
    keys.release();
    values.release();
  }
}
