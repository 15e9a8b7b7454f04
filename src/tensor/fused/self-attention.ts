import type { AttentionShape } from '../backends/backend.ts';
import { empty } from '../scope.ts';
import { requireFloats, requireMatrix, requireShape } from '../shapes.ts';
import { isTracked, record } from '../tape.ts';
import type { Tensor } from '../tensor.ts';
import { attention, requireHeads, requireLayoutOf, type SequenceLayout } from './attention.ts';
import { linearComposition } from './linear.ts';

/**
 * Causal self-attention with its projections: o · attention(qkv · x), inside each sequence of the layout.
 * x [rows, hidden], qkv [(heads + 2·kvHeads)·headDim, hidden], o [hidden, heads·headDim] → [rows, hidden].
 * No [rows, rows] array is held: scores exist for a block of queries at a time, and are computed again for the gradient
 * from x, q, k and v, the result (all in the precision of products) and the log-sum-exp of each row, which are saved.
 */
export function selfAttention(
  x: Tensor,
  qkv: Tensor,
  o: Tensor,
  layout: SequenceLayout,
  shape: AttentionShape,
): Tensor {
  const { backend } = x;
  const { fused } = backend;
  const { heads, kvHeads, headDim } = shape;
  const [width, outWidth] = [(heads + 2 * kvHeads) * headDim, heads * headDim];
  requireFloats('selfAttention', x, qkv, o);
  requireHeads('selfAttention', shape);
  const [rows, hidden] = requireMatrix('selfAttention', 'x', x);
  requireShape('selfAttention', 'qkv', qkv, [width, hidden]);
  requireShape('selfAttention', 'o', o, [hidden, outWidth]);
  requireLayoutOf('selfAttention', layout, rows);
  if (!fused.selfAttention || !fused.selfAttentionGradient || !fused.operandSize)
    return selfAttentionComposition(x, qkv, o, layout, shape);
  const packed = { positions: layout.positionsTensor, segments: layout.segmentsTensor };
  const y = empty(backend, [rows, hidden]);
  if (![x, qkv, o].some(isTracked)) {
    fused.selfAttention(x, qkv, o, packed, y, shape);
    return y;
  }
  const operand = (columns: number): Tensor => empty(backend, [fused.operandSize!(rows, columns)], 'operand');
  const saved = {
    x: operand(hidden),
    qkv: operand(width),
    out: operand(outWidth),
    logSumExp: empty(backend, [heads, rows]),
  };
  fused.selfAttention(x, qkv, o, packed, y, shape, saved);
  return record([x, qkv, o], y, [...Object.values(saved), ...Object.values(packed), qkv, o], (dy, gradients) => {
    const [dx, dQkv, dO] = [x, qkv, o].map((input) => gradients.targetIfWanted(input));
    fused.selfAttentionGradient?.(dy, saved, qkv, o, packed, shape, dx, dQkv, dO);
  });
}

export function selfAttentionComposition(
  x: Tensor,
  qkv: Tensor,
  o: Tensor,
  layout: SequenceLayout,
  shape: AttentionShape,
): Tensor {
  return linearComposition(attention(linearComposition(x, qkv), layout, shape), o);
}
