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

export function newCache({ config, backend }: Model, sequences: number, capacity: number): KeyValueCache {
  const { fused } = backend;
  const shape = (width: number): number[] => [sequences, config.kvHeads, capacity, width];
  // The kernel keeps operands and reads only what was written; the composition multiplies the rest by zero.
  const make = (): Tensor =>
    fused.decoderLayer && fused.operandWidth
      ? empty(backend, shape(fused.operandWidth(config.headDim)), 'operand')
      : filled(backend, shape(config.headDim), 0);
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
