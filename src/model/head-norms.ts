import { concat, reshape, slice } from '../tensor/primitives.ts';
import type { Tensor } from '../tensor/tensor.ts';
import type { ModelConfig } from './config.ts';
import type { Norm } from './norm-kinds/norm-kind.ts';

/** Something for queries, for keys or for values. */
export type OfHeads<T> = Readonly<Partial<Record<'q' | 'k' | 'v', T>>>;

/**
 * Norms of the queries and keys of each head, before they are rotated (Henry et al. 2020, arXiv 2010.04245), under the
 * names that Qwen3 has.
 */
export const queryAndKeyNorms = { q: 'self_attn.q_norm', k: 'self_attn.k_norm' } as const;

/**
 * Normalises each head of the queries, keys and values for which there is a norm [headDim]: qkv
 * [rows, (heads + 2·kvHeads)·headDim] → the same shape.
 */
export function withNormedHeads(
  qkv: Tensor,
  norms: OfHeads<Norm>,
  { heads, kvHeads, headDim }: Pick<ModelConfig, 'heads' | 'kvHeads' | 'headDim'>,
): Tensor {
  const rows = qkv.shape[0]!;
  const part = (norm: Norm | undefined, first: number, count: number): Tensor => {
    const columns = slice(qkv, 1, first * headDim, count * headDim);
    if (!norm) return columns;
    return reshape(norm.apply(reshape(columns, [rows * count, headDim])), [rows, count * headDim]);
  };
  const { q, k, v } = norms;
  return concat([part(q, 0, heads), part(k, heads, kvHeads), part(v, heads + kvHeads, kvHeads)], 1);
}
