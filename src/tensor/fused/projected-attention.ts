import type { Backend } from '../backends/backend.ts';
import type { AttentionShape } from '../backends/kernels/self-attention.ts';
import { slice } from '../primitives.ts';
import { fromHost } from '../scope.ts';
import type { Tensor } from '../tensor.ts';

/** Identity projections, with which the self-attention kernel computes plain attention of rows already projected. */
export interface IdentityProjections {
  /** The identity, [width, width] with width = (heads + 2·kvHeads)·headDim. */
  qkv: Tensor;
  /** Copies the output of attention and sets the other columns to 0, [width, heads·headDim]. */
  o: Tensor;
}

export function identityProjections(
  backend: Backend,
  { heads, kvHeads, headDim }: Omit<AttentionShape, 'rotary'>,
): IdentityProjections {
  const width = (heads + 2 * kvHeads) * headDim;
  const identity = (columns: number): Tensor => {
    const elements = new Float32Array(width * columns);
    for (let i = 0; i < columns; i++) elements[i * columns + i] = 1;
    return fromHost(backend, elements, [width, columns]);
  };
  return { qkv: identity(width), o: identity(heads * headDim) };
}

/**
 * Attention of rows that are already projected, qkv [rows, width] → [rows, heads·headDim], by self-attention with
 * identity projections. It is exact, because products with 1 and 0 add no rounding to that of attention. The price is
 * width·(width + heads·headDim) multiplications per row.
 */
export function projectedAttention(
  qkv: Tensor,
  selfAttention: (x: Tensor, identities: IdentityProjections) => Tensor,
  identities: IdentityProjections,
  { heads, headDim }: AttentionShape,
): Tensor {
  return slice(selfAttention(qkv, identities), 1, 0, heads * headDim);
}
