import type { AttentionShape, Backend } from '../backends/backend.ts';
import { matmul, mul, reshape, slice, transpose, where } from '../primitives.ts';
import { fromHost } from '../scope.ts';
import type { Tensor } from '../tensor.ts';
import { applyRotary, repeatHeads, rotaryTables, softmax } from './rotary.ts';

/** How the rows of a batch are divided into sequences, on the host and on the backend. */
export interface SequenceLayout {
  /** [rows], from 0 in each sequence. */
  positions: Int32Array;
  /** [sequences + 1], row offsets. */
  segments: Int32Array;
  positionsTensor: Tensor;
  segmentsTensor: Tensor;
}

export function sequenceLayout(backend: Backend, positions: Int32Array, segments: Int32Array): SequenceLayout {
  return {
    positions,
    segments,
    positionsTensor: fromHost(backend, positions),
    segmentsTensor: fromHost(backend, segments),
  };
}

/**
 * Causal attention with rotary positions inside each sequence: softmax(R(q) · R(k)ᵀ / √headDim) · v.
 * qkv [rows, (heads + 2·kvHeads)·headDim] → [rows, heads·headDim].
 */
export function attention(qkv: Tensor, layout: SequenceLayout, shape: AttentionShape): Tensor {
  const { heads, kvHeads, headDim } = shape;
  const rows = qkv.shape[0]!;
  const tables = rotaryTables(qkv.backend, layout.positions, shape);
  const part = (first: number, count: number): Tensor =>
    reshape(slice(qkv, 1, first * headDim, count * headDim), [rows, count, headDim]);

  const q = transpose(applyRotary(part(0, heads), tables), [1, 0, 2]);
  const k = repeatHeads(transpose(applyRotary(part(heads, kvHeads), tables), [1, 0, 2]), heads);
  const v = repeatHeads(transpose(part(heads + kvHeads, kvHeads), [1, 0, 2]), heads);

  const scores = mul(matmul(q, k, { transposeB: true }), 1 / Math.sqrt(headDim));
  const weights = softmax(where(causalMask(qkv.backend, layout), scores, -1e30));
  return reshape(transpose(matmul(weights, v), [1, 0, 2]), [rows, heads * headDim]);
}

/** [1, rows, rows]: 1 where the column's token is in the row's sequence and not after it. */
function causalMask(backend: Backend, { positions, segments }: SequenceLayout): Tensor {
  const rows = positions.length;
  const mask = new Float32Array(rows * rows);
  for (let s = 0; s + 1 < segments.length; s++) {
    for (let i = segments[s]!; i < segments[s + 1]!; i++) mask.fill(1, i * rows + segments[s]!, i * rows + i + 1);
  }
  return fromHost(backend, mask, [1, rows, rows]);
}
