import type { Backend } from '../backends/backend.ts';
import type { AttentionShape } from '../backends/kernels/self-attention.ts';
import { matmul, mul, reshape, slice, transpose, where } from '../primitives.ts';
import { fromHost } from '../scope.ts';
import { requireMatrix, requireShape, resultShape } from '../shapes.ts';
import type { Tensor } from '../tensor.ts';
import { applyRotary, repeatHeads, rotaryTables, softmax } from './rotary.ts';

/** How the rows of a batch are divided into sequences, on the host and on the backend. */
export interface SequenceLayout {
  /** Position of each row in its sequence, from 0, [rows]. */
  positions: Int32Array;
  /** First row of each sequence, then the number of rows, [sequences + 1]. */
  segments: Int32Array;
  positionsTensor: Tensor;
  segmentsTensor: Tensor;
}

/**
 * Copies a layout to the backend.
 * @throws Error unless the segments divide the rows and positions start at 0 in each
 */
export function sequenceLayout(backend: Backend, positions: Int32Array, segments: Int32Array): SequenceLayout {
  const rows = positions.length;
  if (segments[0] !== 0) throw new Error(`sequenceLayout: segments begin with ${segments[0]}, not with row 0`);
  for (let s = 0; s + 1 < segments.length; s++) {
    const [begin, end] = [segments[s]!, segments[s + 1]!];
    if (end < begin || end > rows)
      throw new Error(`sequenceLayout: segment ${s} is rows [${begin}, ${end}) of ${rows}; segments must ascend`);
    for (let row = begin; row < end; row++) {
      if (positions[row] !== row - begin)
        throw new Error(`sequenceLayout: row ${row} has position ${positions[row]}, not ${row - begin}`);
    }
  }
  if (segments.at(-1) !== rows) throw new Error(`sequenceLayout: segments end at row ${segments.at(-1)} of ${rows}`);
  return {
    positions,
    segments,
    positionsTensor: fromHost(backend, positions),
    segmentsTensor: fromHost(backend, segments),
  };
}

/** Throws unless the heads can be rotated and share keys and values evenly. */
export function requireHeads(operation: string, { heads, kvHeads, headDim, rotary }: AttentionShape): void {
  const fit = [heads, kvHeads, heads / kvHeads, headDim / 2].every((size) => Number.isInteger(size) && size > 0);
  if (!fit)
    throw new Error(`${operation}: ${heads} heads, ${kvHeads} key-value heads of ${headDim} do not fit together`);
  if (rotary.frequencies.length !== headDim / 2)
    throw new Error(`${operation}: ${rotary.frequencies.length} rotary frequencies for heads of ${headDim}`);
}

/** Throws unless the layout has `rows` rows. */
export function requireLayoutOf(operation: string, { positions }: SequenceLayout, rows: number): void {
  if (positions.length !== rows)
    throw new Error(`${operation}: the sequences have ${positions.length} rows, x has ${rows}`);
}

/**
 * Causal attention with rotary positions within each sequence: softmax(R(q) · R(k)ᵀ / √headDim) · v.
 * qkv [rows, (heads + 2·kvHeads)·headDim] → [rows, heads·headDim].
 */
export function attention(qkv: Tensor, layout: SequenceLayout, shape: AttentionShape): Tensor {
  const { heads, kvHeads, headDim } = shape;
  const [rows] = requireMatrix('attention', 'qkv', qkv);
  requireHeads('attention', shape);
  requireShape('attention', 'qkv', qkv, [rows, (heads + 2 * kvHeads) * headDim]);
  requireLayoutOf('attention', layout, rows);
  resultShape(qkv.backend, 'attention', [heads, rows, rows]);
  const { q, k, v } = rotatedHeads(qkv, layout.positions, shape);
  const scores = mul(matmul(q, k, { transposeB: true }), 1 / Math.sqrt(headDim));
  const weights = softmax(where(causalMask(qkv.backend, layout), scores, -1e30));
  return reshape(transpose(matmul(weights, v), [1, 0, 2]), [rows, heads * headDim]);
}

/**
 * Splits qkv [rows, (heads + 2·kvHeads)·headDim] into queries, keys and values [heads, rows, headDim]: queries and keys
 * are rotated, and keys and values are repeated for the heads that share them.
 */
export function rotatedHeads(
  qkv: Tensor,
  positions: Int32Array,
  { heads, kvHeads, headDim, rotary }: AttentionShape,
): Record<'q' | 'k' | 'v', Tensor> {
  const tables = rotaryTables(qkv.backend, positions, rotary);
  const part = (first: number, count: number): Tensor =>
    reshape(slice(qkv, 1, first * headDim, count * headDim), [positions.length, count, headDim]);
  return {
    q: transpose(applyRotary(part(0, heads), tables), [1, 0, 2]),
    k: repeatHeads(transpose(applyRotary(part(heads, kvHeads), tables), [1, 0, 2]), heads),
    v: repeatHeads(transpose(part(heads + kvHeads, kvHeads), [1, 0, 2]), heads),
  };
}

/** A mask [1, rows, rows] that is 1 if the column's token is in the row's sequence and not after the row's token. */
function causalMask(backend: Backend, { positions, segments }: SequenceLayout): Tensor {
  const rows = positions.length;
  const mask = new Float32Array(rows * rows);
  for (let s = 0; s + 1 < segments.length; s++) {
    for (let i = segments[s]!; i < segments[s + 1]!; i++) mask.fill(1, i * rows + segments[s]!, i * rows + i + 1);
  }
  return fromHost(backend, mask, [1, rows, rows]);
}
