import type { Model } from '../model/model.ts';
import type { LayerCache } from '../tensor/fused/cached-attention.ts';
import { empty, filled } from '../tensor/scope.ts';

/** Keys and values of `sequences` sequences of up to `capacity` tokens, for every layer. */
export interface KeyValueCache {
  layers: readonly LayerCache[];
  sequences: number;
  capacity: number;
}

/** Kernels read only what was written; the composition multiplies the rest by zero, so there it has to be finite. */
export function newCache({ config, backend }: Model, sequences: number, capacity: number): KeyValueCache {
  const shape = [sequences, config.kvHeads, capacity, config.headDim];
  const make = () => (backend.fused.cachedAttention ? empty(backend, shape) : filled(backend, shape, 0));
  const layers = Array.from({ length: config.layers }, () => ({ keys: make(), values: make() }));
  return { layers, sequences, capacity };
}

/** The same keys and values with room for `capacity` tokens; the given cache is released. */
export function grownCache(model: Model, cache: KeyValueCache, capacity: number): KeyValueCache {
  const grown = newCache(model, cache.sequences, capacity);
  for (const [i, { keys, values }] of cache.layers.entries()) {
    model.backend.place(keys, 2, 0, grown.layers[i]!.keys);
    model.backend.place(values, 2, 0, grown.layers[i]!.values);
  }
  releaseCache(cache);
  return grown;
}

export function releaseCache({ layers }: KeyValueCache): void {
  for (const { keys, values } of layers) {
    keys.release();
    values.release();
  }
}
