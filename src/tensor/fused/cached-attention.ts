import type { AttentionShape } from '../backends/kernels.ts';
import { matmul, mul, reshape, slice, transpose, where } from '../primitives.ts';
import { fromHost } from '../scope.ts';
import { requireInt32, requireMatrix, requireShape } from '../shapes.ts';
import type { Tensor } from '../tensor.ts';
import { requireHeads } from './attention.ts';
import { applyRotary, repeatHeads, rotaryTables, softmax } from './rotary.ts';

/** Keys and values of one layer, each [sequences, kvHeads, capacity, headDim]; changed in place. */
export interface LayerCache {
  keys: Tensor;
  values: Tensor;
}

/** The sequence and position that each row of a decoding step belongs to. */
export interface DecodeRows {
  sequences: Int32Array;
  positions: Int32Array;
}

/**
 * Attention of new tokens over what their sequences already hold: prefill and decoding are the same operation. qkv
 * [rows, (heads + 2·kvHeads)·headDim] → [rows, heads·headDim]. Writes the rows' keys and values into the cache first.
 * No gradient. A part of what `FusedKernels.decoderLayer` means.
 */
export function cachedAttention(qkv: Tensor, rows: DecodeRows, cache: LayerCache, shape: AttentionShape): Tensor {
  const { backend } = qkv;
  const { heads, kvHeads, headDim } = shape;
  const [count] = requireMatrix('cachedAttention', 'qkv', qkv);
  const [sequences, , capacity] = cache.keys.shape as [number, number, number, number];
  requireHeads('cachedAttention', shape);
  requireShape('cachedAttention', 'qkv', qkv, [count, (heads + 2 * kvHeads) * headDim]);
  requireShape('cachedAttention', 'the values', cache.values, cache.keys.shape);
  requireInt32('cachedAttention', 'the places of the cache', sequences * kvHeads * capacity);
  for (let row = 0; row < count; row++) {
    const [sequence, position] = [rows.sequences[row]!, rows.positions[row]!];
    if (!(sequence >= 0 && sequence < sequences && position >= 0 && position < capacity))
      throw new Error(`cachedAttention: row ${row} is outside the cache`);
  }
  const tables = rotaryTables(backend, rows.positions, shape.rotary);
  const part = (first: number, heads: number): Tensor =>
    reshape(slice(qkv, 1, first * headDim, heads * headDim), [count, heads, headDim]);
  const q = transpose(applyRotary(part(0, heads), tables), [1, 0, 2]);

  const store = (fresh: Tensor, into: Tensor): Tensor => {
    const flat = into.view([sequences * kvHeads * capacity, headDim]);
    const slots = Int32Array.from({ length: count * kvHeads }, (_, i) => {
      const row = Math.floor(i / kvHeads);
      return (rows.sequences[row]! * kvHeads + (i % kvHeads)) * capacity + rows.positions[row]!;
    });
    const written = fromHost(backend, new Float32Array(sequences * kvHeads * capacity), [flat.shape[0]!, 1]);
    const ids = fromHost(backend, slots);
    backend.scatterAdd(fromHost(backend, new Float32Array(slots.length).fill(1), [slots.length, 1]), ids, written);
    backend.select(written, fromHost(backend, new Float32Array(1)), flat, flat);
    backend.scatterAdd(reshape(fresh, [slots.length, headDim]), ids, flat);
    flat.release();
    const bySlot = transpose(into, [1, 0, 2, 3]);
    return repeatHeads(reshape(bySlot, [kvHeads, sequences * capacity, headDim]), heads);
  };
  const k = store(applyRotary(part(heads, kvHeads), tables), cache.keys);
  const v = store(part(heads + kvHeads, kvHeads), cache.values);

  const mask = new Float32Array(count * sequences * capacity);
  for (let row = 0; row < count; row++) {
    const start = (row * sequences + rows.sequences[row]!) * capacity;
    mask.fill(1, start, start + rows.positions[row]! + 1);
  }
  const scores = mul(matmul(q, k, { transposeB: true }), 1 / Math.sqrt(headDim));
  const weights = softmax(where(fromHost(backend, mask, [1, count, sequences * capacity]), scores, -1e30));
  return reshape(transpose(matmul(weights, v), [1, 0, 2]), [count, heads * headDim]);
}
