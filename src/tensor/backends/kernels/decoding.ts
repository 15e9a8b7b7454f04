import type { Tensor } from '../../tensor.ts';
import type { Norm } from './rms-norm.ts';
import type { AttentionShape, AttentionWeights } from './self-attention.ts';

/** Keys and values of all sequences in one layer, [sequences, kvHeads, …cacheShapes] each; changed in place. */
export interface LayerCache {
  keys: Tensor;
  values: Tensor;
}

/** The sequence and the position that each row of a step belongs to, each [rows] (i32). */
export interface CachedRows {
  sequences: Tensor;
  positions: Tensor;
}

/** The weights of one decoder layer, [out, in] each, except for the norms, [hidden]. */
export interface DecoderLayerWeights {
  attentionNorm: Tensor;
  qkv: Tensor;
  o: Tensor;
  mlpNorm: Tensor;
  gateUp: Tensor;
  down: Tensor;
}

/**
 * Attention of new tokens over cached keys and values. First the keys and values of all rows are written to the cache;
 * then the query of each row attends to positions 0…positions[row] of its own sequence. The result of a row does not
 * depend on the rows of other sequences. No gradients.
 */
export interface DecodingKernels {
  /** The layout of the keys and values of a head for `capacity` tokens: number of panels, 32-bit words per panel. */
  cacheShapes(headDim: number, capacity: number): Record<'keys' | 'values', readonly [panels: number, words: number]>;
  /** y = o · attention(qkv · n) with n = norm(x), or n = x without a norm; x, y [rows, hidden]. */
  selfAttention(call: {
    x: Tensor;
    norm: Norm | undefined;
    weights: AttentionWeights;
    rows: CachedRows;
    cache: LayerCache;
    shape: AttentionShape;
    y: Tensor;
  }): void;
  /**
   * A whole layer: stream [rows, hidden] is the residual stream before the layer and becomes that after it. With
   * `postNorm` the norms follow the residual additions. Rows outside `wanted` (i32, ascending; default: all) are only
   * written to the cache, and are undefined after the layer.
   */
  layer?(call: {
    stream: Tensor;
    weights: DecoderLayerWeights;
    rows: CachedRows;
    cache: LayerCache;
    shape: AttentionShape;
    eps: number;
    postNorm: boolean;
    wanted: Tensor | undefined;
  }): void;
  /** logits [chosen, V] = norm(stream[rows[i]]) · headᵀ. stream [n, H], rows [chosen] (i32), head [V, H]. */
  nextLogits(stream: Tensor, rows: Tensor, norm: Norm, head: Tensor, logits: Tensor): void;
}
