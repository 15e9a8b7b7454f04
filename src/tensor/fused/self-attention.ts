import type { Norm } from '../backends/kernels/rms-norm.ts';
import type { AttentionShape } from '../backends/kernels/self-attention.ts';
import { empty } from '../scope.ts';
import { requireFloats, requireShape } from '../shapes.ts';
import { isTracked, record } from '../tape.ts';
import type { Tensor } from '../tensor.ts';
import { attention, requireHeads, requireLayoutOf, type SequenceLayout } from './attention.ts';
import { linear } from './linear.ts';
import { normed, requireInput, savedInput, tensorsOf } from './sub-layer.ts';

/**
 * Causal self-attention with its projections, within each sequence of the layout: o · attention(qkv · n) with
 * n = norm(x), or n = x without a norm.
 * x [rows, hidden], qkv [(heads + 2·kvHeads)·headDim, hidden], o [hidden, heads·headDim] → [rows, hidden].
 * There is no [rows, rows] array: scores are computed for a block of queries at a time, and again for the gradient. For
 * this, x, q, k and v and the output of attention are saved in the precision of products (with a norm x itself and
 * 1/rms [rows]), and the log-sum-exp of each row.
 */
export function selfAttention(
  x: Tensor,
  qkv: Tensor,
  o: Tensor,
  layout: SequenceLayout,
  shape: AttentionShape,
  norm?: Norm,
): Tensor {
  const { backend } = x;
  const kernels = backend.kernels.selfAttention;
  const { heads, kvHeads, headDim } = shape;
  const [width, outWidth] = [(heads + 2 * kvHeads) * headDim, heads * headDim];
  requireFloats('selfAttention', x, qkv, o);
  requireHeads('selfAttention', shape);
  const [rows, hidden] = requireInput('selfAttention', x, norm);
  requireShape('selfAttention', 'qkv', qkv, [width, hidden]);
  requireShape('selfAttention', 'o', o, [hidden, outWidth]);
  requireLayoutOf('selfAttention', layout, rows);
  if (!kernels) return selfAttentionComposition(x, qkv, o, layout, shape, norm);
  const packed = { positions: layout.positionsTensor, segments: layout.segmentsTensor };
  const weights = { qkv, o };
  const y = empty(backend, [rows, hidden]);
  const inputs = [x, qkv, o, ...(norm ? [norm.weight] : [])];
  if (!inputs.some(isTracked)) {
    kernels.forward({ x, norm, weights, rows: packed, shape, y });
    return y;
  }
  const operand = (columns: number): Tensor => empty(backend, [kernels.operandSize(rows, columns)], 'operand');
  const input = savedInput(kernels, x, norm);
  const between = { qkv: operand(width), out: operand(outWidth), logSumExp: empty(backend, [heads, rows]) };
  const saved = { input, ...between };
  kernels.forward({ x, norm, weights, rows: packed, shape, y, saved });
  const kept = [...tensorsOf(input), ...Object.values(between), ...Object.values(packed), qkv, o];
  return record(inputs, y, kept, (dy, gradients) => {
    const into = {
      x: gradients.targetIfWanted(x, dy),
      norm: norm && gradients.targetIfWanted(norm.weight),
      qkv: gradients.targetIfWanted(qkv),
      o: gradients.targetIfWanted(o),
    };
    kernels.gradient({ dy, weights, rows: packed, shape, saved, into });
  });
}

export function selfAttentionComposition(
  x: Tensor,
  qkv: Tensor,
  o: Tensor,
  layout: SequenceLayout,
  shape: AttentionShape,
  norm?: Norm,
): Tensor {
  return linear(attention(linear(normed(x, norm), qkv), layout, shape), o);
}
