import type { Backend } from '../backends/backend.ts';
import type { AttentionShape } from '../backends/kernels/self-attention.ts';
import { slice } from '../primitives.ts';
import { fromHost } from '../scope.ts';
import type { Tensor } from '../tensor.ts';

/** Projections with which self-attention of projected rows is their attention, so that no other kernel is needed. */
export interface IdentityProjections {
  /** [width, width], width = (heads + 2·kvHeads)·headDim: each query, key and value as it is. */
  qkv: Tensor;
  /** [width, heads·headDim]: what attention gives, and 0 in the other columns of the result. */
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
 * Attention of rows that are projected already, qkv [rows, width] → [rows, heads·headDim], by self-attention over what
 * it is given for x. Exact: a product with 1 and 0 rounds nothing that attention does not. Its price is
 * width·(width + heads·headDim) multiplications a row.
 */
export function projectedAttention(
  qkv: Tensor,
  selfAttention: (x: Tensor, identities: IdentityProjections) => Tensor,
  identities: IdentityProjections,
  { heads, headDim }: AttentionShape,
): Tensor {
  return slice(selfAttention(qkv, identities), 1, 0, heads * headDim);
}
