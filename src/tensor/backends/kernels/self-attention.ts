import type { Tensor } from '../../tensor.ts';
import type { Gradients } from './gradient.ts';
import type { Norm } from './rms-norm.ts';
import type { SavedInput, SubLayerKernels } from './sub-layer.ts';

/**
 * How queries and keys turn with their position (Su et al. 2021): pair j of a head by frequencies[j] radians a
 * position, frequencies [headDim / 2]; 0 = not at all. `factor` scales the rotated vectors (Peng et al. 2023, eq. 21; 1
 * = not).
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

/** Rows that are the tokens of sequences one after the other. */
export interface PackedRows {
  /** [rows] (i32), from 0 in each sequence. */
  positions: Tensor;
  /** [sequences + 1] (i32), row offsets; from 0 to the number of rows. */
  segments: Tensor;
}

/** What the gradient of self-attention needs of its forward pass. */
export interface SavedAttention {
  input: SavedInput;
  /** Operands: queries, keys and values, and what attention gave. */
  qkv: Tensor;
  out: Tensor;
  /** [heads, rows] */
  logSumExp: Tensor;
}

export interface SelfAttentionKernels extends SubLayerKernels {
  /**
   * y = o · attention(qkv · n) for n = norm(x), or x without a norm: causal inside each sequence, half-rotation RoPE on
   * queries and keys, scores scaled by 1/√headDim. x, y [rows, hidden]. Fills `saved` where it is given.
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
  /** The gradient of x may be added to dy itself. */
  gradient(call: {
    dy: Tensor;
    weights: AttentionWeights;
    rows: PackedRows;
    shape: AttentionShape;
    saved: SavedAttention;
    into: Gradients<'x' | 'norm' | 'qkv' | 'o'>;
  }): void;
}
