import type { Backend } from '../backends/backend.ts';
import type { AttentionShape } from '../backends/kernels/self-attention.ts';
import { concat, matmul, mul, reshape, slice, transpose, where } from '../primitives.ts';
import { fromHost } from '../scope.ts';
import { requireMatrix, requireShape } from '../shapes.ts';
import type { Tensor } from '../tensor.ts';
import { requireHeads } from './attention.ts';
import { applyRotary, repeatHeads, rotaryTables, softmax } from './rotary.ts';

/** Keys and values of one sequence in one layer, each [capacity, kvHeads, headDim]; changed in place. */
export interface SequenceCache {
  keys: Tensor;
  values: Tensor;
}

/** The sequence and position that each row of a decoding step belongs to. */
export interface DecodeRows {
  sequences: Int32Array;
  positions: Int32Array;
}

/**
 * Attention of new tokens over the cached tokens of their sequences; prefill and decoding are the same operation. qkv
 * [rows, (heads + 2·kvHeads)·headDim] → [rows, heads·headDim]. First writes the keys and values of the rows to the
 * caches of their sequences. No gradient. Together with the two projections it defines `DecodingKernels.selfAttention`.
 */
export function cachedAttention(
  qkv: Tensor,
  rows: DecodeRows,
  caches: readonly SequenceCache[],
  shape: AttentionShape,
): Tensor {
  const { heads, kvHeads, headDim } = shape;
  const [count] = requireMatrix('cachedAttention', 'qkv', qkv);
  requireHeads('cachedAttention', shape);
  requireShape('cachedAttention', 'qkv', qkv, [count, (heads + 2 * kvHeads) * headDim]);
  const runs = runsOf(rows);
  for (const { row, sequence, position, count } of runs) {
    const cache = caches[sequence];
    if (!(cache && position >= 0 && position + count <= cache.keys.shape[0]!))
      throw new Error(`cachedAttention: row ${row} is outside the cache`);
    requireShape('cachedAttention', 'the keys', cache.keys, [cache.keys.shape[0]!, kvHeads, headDim]);
    requireShape('cachedAttention', 'the values', cache.values, cache.keys.shape);
  }
  const tables = rotaryTables(qkv.backend, rows.positions, shape.rotary);
  const part = (first: number, heads: number): Tensor =>
    reshape(slice(qkv, 1, first * headDim, heads * headDim), [count, heads, headDim]);
  const queries = applyRotary(part(0, heads), tables);
  const keys = applyRotary(part(heads, kvHeads), tables);
  const values = part(heads + kvHeads, kvHeads);

  for (const { row, count, sequence, position } of runs) {
    const cache = caches[sequence]!;
    qkv.backend.place(slice(keys, 0, row, count), 0, position, cache.keys);
    qkv.backend.place(slice(values, 0, row, count), 0, position, cache.values);
  }
  const attended = runs.map(({ row, count, sequence, position }) => {
    const held = (x: Tensor): Tensor => repeatHeads(byHead(slice(x, 0, 0, position + count)), heads);
    const cache = caches[sequence]!;
    const q = byHead(slice(queries, 0, row, count));
    const scores = mul(matmul(q, held(cache.keys), { transposeB: true }), 1 / Math.sqrt(headDim));
    const weights = softmax(where(causalMask(qkv.backend, position, count), scores, -1e30));
    return byHead(matmul(weights, held(cache.values)));
  });
  return reshape(concat(attended, 0), [count, heads * headDim]);
}

const byHead = (x: Tensor): Tensor => transpose(x, [1, 0, 2]);

/** Rows from `row` that are consecutive tokens of one sequence, the first of them at `position`. */
interface Run {
  row: number;
  count: number;
  sequence: number;
  position: number;
}

function runsOf({ sequences, positions }: DecodeRows): Run[] {
  const runs: Run[] = [];
  for (let row = 0; row < sequences.length; row++) {
    const [sequence, position] = [sequences[row]!, positions[row]!];
    const run = runs.at(-1);
    if (run?.sequence === sequence && run.position + run.count === position) run.count++;
    else runs.push({ row, count: 1, sequence, position });
  }
  return runs;
}

/** A mask for `count` tokens from `position`, [1, count, position + count]: 1 up to the position of each token. */
function causalMask(backend: Backend, position: number, count: number): Tensor {
  const held = position + count;
  const mask = new Float32Array(count * held);
  for (let row = 0; row < count; row++) mask.fill(1, row * held, row * held + position + row + 1);
  return fromHost(backend, mask, [1, count, held]);
}
