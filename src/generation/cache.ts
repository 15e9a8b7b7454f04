import type { Model } from '../model/model.ts';
import type { DecodingKernels, LayerCache } from '../tensor/backends/kernels/decoding.ts';
import type { SequenceCache } from '../tensor/fused/cached-attention.ts';
import { empty } from '../tensor/scope.ts';
import type { Tensor } from '../tensor/tensor.ts';

/** Key and value caches for the decoding kernels: one per layer, with room for `capacity` tokens of each sequence. */
export function kernelCaches(
  { backend, config }: Model,
  kernels: DecodingKernels,
  sequences: number,
  capacity: number,
): LayerCache[] {
  const { kvHeads, headDim, layers } = config;
  const shapes = kernels.cacheShapes(headDim, capacity);
  const room = (ofHead: readonly number[]): Tensor => empty(backend, [sequences, kvHeads, ...ofHead], 'operand');
  return Array.from({ length: layers }, () => ({ keys: room(shapes.keys), values: room(shapes.values) }));
}

/** Key and value caches for the composition, by layer and sequence, each with room for `capacity` tokens. */
export function sequenceCaches({ backend, config }: Model, sequences: number, capacity: number): SequenceCache[][] {
  const { kvHeads, headDim, layers } = config;
  const room = (): Tensor => empty(backend, [capacity, kvHeads, headDim]);
  return Array.from({ length: layers }, () =>
    Array.from({ length: sequences }, () => ({ keys: room(), values: room() })),
  );
}

export function releaseCaches(caches: readonly { keys: Tensor; values: Tensor }[]): void {
  for (const { keys, values } of caches) {
    keys.release();
    values.release();
  }
}
