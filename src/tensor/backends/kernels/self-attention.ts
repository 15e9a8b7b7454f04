import type { Tensor } from '../../tensor.ts';
import type { Gradients } from './gradient.ts';
import type { Norm } from './rms-norm.ts';
import type { SavedInput, SubLayerKernels } from './sub-layer.ts';

/**
 * How queries and keys are rotated by their position (Su et al. 2021): pair j of a head by frequencies[j] radians per
 * position, frequencies [headDim / 2]; 0 = not at all. `factor` scales the rotated vectors (Peng et al. 2023, eq. 21);
 * 1 = not scaled.
 */
export interface Rotary {
  readonly frequencies: Float64Array;
  readonly factor: number;
}

export interface AttentionShape {
  heads: number;
  kvHeads: number;
  headDim: number;
  rotary: Rotary;
}

export interface AttentionWeights {
  /** [(heads + 2·kvHeads)·headDim, hidden] */
  qkv: Tensor;
  /** [hidden, heads·headDim] */
  o: Tensor;
}

/** Rows that are the tokens of concatenated sequences. */
export interface PackedRows {
  /** Position of each row in its sequence, from 0, [rows] (i32). */
  positions: Tensor;
  /** First row of each sequence, then the number of rows, [sequences + 1] (i32). */
  segments: Tensor;
}

/** What the gradient of self-attention needs from its forward pass. */
export interface SavedAttention {
  input: SavedInput;
  /** Operands: queries, keys and values, and the output of attention before the last product. */
  qkv: Tensor;
  out: Tensor;
  /** [heads, rows] */
  logSumExp: Tensor;
}

export interface SelfAttentionKernels extends SubLayerKernels {
  /**
   * y = o · attention(qkv · n) with n = norm(x), or n = x without a norm. Attention is causal within each sequence,
   * with half-rotation RoPE on queries and keys, and scores scaled by 1/√headDim. x, y [rows, hidden]. Fills `saved` if
   * it is given.
   */
  forward(call: {
    x: Tensor;
    norm: Norm | undefined;
    weights: AttentionWeights;
    rows: PackedRows;
    shape: AttentionShape;
    y: Tensor;
    saved?: SavedAttention;
  }): void;
  /** Computes the gradients of the inputs. The target of x may be dy itself. */
  gradient(call: {
    dy: Tensor;
    weights: AttentionWeights;
    rows: PackedRows;
    shape: AttentionShape;
    saved: SavedAttention;
    into: Gradients<'x' | 'norm' | 'qkv' | 'o'>;
  }): void;
}
