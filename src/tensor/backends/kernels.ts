import type { Tensor } from '../tensor.ts';

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

/** Where a kernel puts a gradient: written, or added to what is there. */
export interface GradientTarget {
  tensor: Tensor;
  accumulate: boolean;
}

/** An RMSNorm: x / √(mean(x²) + eps) · weight [hidden]. */
export interface Norm {
  weight: Tensor;
  eps: number;
}

/**
 * What the gradient of a sub-layer needs of its input x [rows, hidden]: the operand that its first product took, or,
 * where a norm stands in front, x itself and 1/rms [rows], of which that is made again. Operands have operandSize
 * words, which only kernels read.
 */
export type SavedInput =
  | { operand: Tensor; normed?: undefined }
  | { operand?: undefined; normed: { x: Tensor; norm: Norm; inverseRms: Tensor } };

/** What the gradient of a gated MLP needs of its forward pass. */
export interface SavedMlp {
  input: SavedInput;
  /** Operand [rows, 2 · I] */
  gateUp: Tensor;
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

/** Rows that are the tokens of sequences one after the other. */
export interface PackedRows {
  /** [rows] (i32), from 0 in each sequence. */
  positions: Tensor;
  /** [sequences + 1] (i32), row offsets; from 0 to the number of rows. */
  segments: Tensor;
}

export interface AdamWStep {
  learningRate: number;
  beta1: number;
  beta2: number;
  epsilon: number;
  /** Decoupled decay, already resolved for this parameter (0 for norms). */
  weightDecay: number;
  /** 1-based update count for the bias correction. */
  step: number;
  /** Gradients are scaled by min(1, maxNorm / √sumOfSquares); 0 turns clipping off. */
  maxNorm: number;
}

/** The weights of one decoder layer, [out, in] each but the norms [hidden]. */
export interface DecoderLayerWeights {
  attentionNorm: Tensor;
  qkv: Tensor;
  o: Tensor;
  mlpNorm: Tensor;
  gateUp: Tensor;
  down: Tensor;
}

/** How the next token is drawn. The filters apply in this order, each to what the one before has left. */
export interface Sampling {
  /**
   * Logits of tokens that the text already holds are divided by it where positive, else multiplied (Keskar et al.
   * 2019); 1 = off.
   */
  repetitionPenalty: number;
  /** 0 = greedy. */
  temperature: number;
  /** Keep the k likeliest tokens; 0 = all. */
  topK: number;
  /** Keep the likeliest tokens that together have this probability (Holtzman et al. 2020); 1 = all. */
  topP: number;
  /** Keep tokens at least this likely relative to the likeliest (Nguyen et al. 2024); 0 = all. */
  minP: number;
}

/** 32-bit words of a sequence in the `sampling` of `FusedKernels.sampleTokens`. */
export const samplingWords = 10;

/** How a sequence is sampled, as kernels read it: five doubles. */
export function wordsOf({ temperature, topK, topP, minP, repetitionPenalty }: Sampling): Int32Array {
  return new Int32Array(Float64Array.of(temperature, topK, topP, minP, repetitionPenalty).buffer);
}

/**
 * Kernels that a backend may have. Each is held to its composition in primitives (`src/tensor/fused/`) by the contract
 * test. `accumulate` adds to the output instead of overwriting it; the dx of a sub-layer that is added to may be its
 * dy. Rows are tokens of all sequences, one after the other; `segments` [count + 1] (i32) are the row offsets of the
 * sequences, `positions` [rows] (i32) count from 0 in each.
 */
export interface FusedKernels {
  /** x [rows, in] · w [out, in]ᵀ → out [rows, out]. */
  linear(x: Tensor, w: Tensor, out: Tensor): void;
  /** dx [rows, in] (+)= dy [rows, out] · w [out, in]. */
  linearInputGradient(dy: Tensor, w: Tensor, dx: Tensor, accumulate: boolean): void;
  /** dw [out, in] (+)= dy [rows, out]ᵀ · x [rows, in]. */
  linearWeightGradient(dy: Tensor, x: Tensor, dw: Tensor, accumulate: boolean): void;

  /** y = x · inverseRms · weight; inverseRms [rows] = 1 / √(mean(x²) + eps). */
  rmsNorm(x: Tensor, weight: Tensor, y: Tensor, inverseRms: Tensor, eps: number): void;
  rmsNormGradient(
    dy: Tensor,
    x: Tensor,
    weight: Tensor,
    inverseRms: Tensor,
    dx: GradientTarget | undefined,
    dWeight: GradientTarget | undefined,
  ): void;

  /** 32-bit words that a matrix [rows, columns] takes as an operand of matrix products. */
  operandSize(rows: number, columns: number): number;

  /** How `decoderLayer` wants the keys and values of a head over `capacity` tokens: panels of so many 32-bit words. */
  cacheShapes(headDim: number, capacity: number): Record<'keys' | 'values', readonly [panels: number, words: number]>;

  /**
   * y = down · (silu(gate · n) ∘ (up · n)) for n = norm(x), or x without a norm; x, y [rows, hidden], gateUp [2·I,
   * hidden] (gate in the first I rows), down [hidden, I]. Fills `saved` where it is given.
   */
  gatedMlp(x: Tensor, norm: Norm | undefined, gateUp: Tensor, down: Tensor, y: Tensor, saved?: SavedMlp): void;
  gatedMlpGradient(
    dy: Tensor,
    saved: SavedMlp,
    gateUp: Tensor,
    down: Tensor,
    dx: GradientTarget | undefined,
    dNorm: GradientTarget | undefined,
    dGateUp: GradientTarget | undefined,
    dDown: GradientTarget | undefined,
  ): void;

  /**
   * y = o · attention(qkv · n) for n = norm(x), or x without a norm: causal inside each segment, half-rotation RoPE on
   * queries and keys, scores scaled by 1/√headDim. x, y [rows, hidden], qkv [(heads + 2·kvHeads)·headDim, hidden],
   * o [hidden, heads·headDim]. Fills `saved` where it is given.
   */
  selfAttention(
    x: Tensor,
    norm: Norm | undefined,
    qkv: Tensor,
    o: Tensor,
    rows: PackedRows,
    y: Tensor,
    shape: AttentionShape,
    saved?: SavedAttention,
  ): void;
  selfAttentionGradient(
    dy: Tensor,
    saved: SavedAttention,
    qkv: Tensor,
    o: Tensor,
    rows: PackedRows,
    shape: AttentionShape,
    dx: GradientTarget | undefined,
    dNorm: GradientTarget | undefined,
    dQkv: GradientTarget | undefined,
    dO: GradientTarget | undefined,
  ): void;

  /**
   * log softmax(hidden · headᵀ)[target] per row, without holding [rows, vocabulary]. hidden [rows, H], head [V, H],
   * targets [rows] (i32, −1 = skipped: its output is 0) → logProbs [rows], logSumExp [rows].
   */
  tokenLogProbs(hidden: Tensor, head: Tensor, targets: Tensor, logProbs: Tensor, logSumExp: Tensor): void;
  tokenLogProbsGradient(
    dLogProbs: Tensor,
    hidden: Tensor,
    head: Tensor,
    targets: Tensor,
    logSumExp: Tensor,
    dHidden: Tensor | undefined,
    accumulateDHidden: boolean,
    dHead: Tensor | undefined,
    accumulateDHead: boolean,
  ): void;
  /**
   * loss [1] = −Σ weights[i] · log softmax(hidden · headᵀ)[targets[i]], with its gradients for an upstream gradient of
   * 1 computed in the same pass over the vocabulary.
   */
  crossEntropyWithGradient(
    hidden: Tensor,
    head: Tensor,
    targets: Tensor,
    weights: Tensor,
    loss: Tensor,
    dHidden: GradientTarget | undefined,
    dHead: GradientTarget | undefined,
  ): void;

  /**
   * y = o · attention(qkv · n) for n = norm(x), or x without a norm, of new tokens over a cache that is changed in
   * place: row i belongs to sequence `sequences[i]` at `positions[i]`; its key and value are written to keys / values
   * [sequences, kvHeads, …cacheShapes] first (for all rows), then its query attends to positions 0…positions[i] of its
   * own sequence. x, y [rows, hidden]. No gradient.
   */
  cachedSelfAttention(
    x: Tensor,
    norm: Norm | undefined,
    qkv: Tensor,
    o: Tensor,
    sequences: Tensor,
    positions: Tensor,
    keys: Tensor,
    values: Tensor,
    y: Tensor,
    shape: AttentionShape,
  ): void;

  /**
   * One decoder layer for new tokens, over a cache that is changed in place: stream [rows, hidden] is the residual
   * stream before the layer and becomes that after it. Row i belongs to sequence `sequences[i]` at `positions[i]`: its
   * key and value are written to keys / values [sequences, kvHeads, …cacheShapes] first (for all rows), then its query
   * attends to positions 0…positions[i] of its own sequence. With `postNorm` the norms stand after the residual
   * additions. Rows outside `wanted` (i32, ascending; default: all) only enter the cache, and are undefined after the
   * layer. A row's result does not depend on the rows of other sequences. No gradient.
   */
  decoderLayer(
    stream: Tensor,
    sequences: Tensor,
    positions: Tensor,
    keys: Tensor,
    values: Tensor,
    weights: DecoderLayerWeights,
    shape: AttentionShape,
    eps: number,
    postNorm: boolean,
    wanted?: Tensor,
  ): void;
  /**
   * logits [chosen, V] = rmsNorm(stream[rows[i]]) · headᵀ. stream [n, H], rows [chosen] (i32), norm [H], head [V, H].
   */
  nextLogits(stream: Tensor, rows: Tensor, norm: Tensor, head: Tensor, logits: Tensor, eps: number): void;
  /**
   * The next token of each row of logits [rows, V], or −1 (src/generation/sampler.ts is the definition) → tokens [rows]
   * (i32), and its log-probability at the temperature before any filter → logProbs [rows]. Row i belongs to sequence
   * `sequences[i]`, which is sampled as `sampling` [sequences, samplingWords] (i32) says. `draws` [rows, 2] (i32) are
   * the two words of `RandomStream.uniform` (none where all rows are greedy); `seen` [sequences, ⌈V / 32⌉] (i32) has
   * one bit for each token of a text that penalises repetition (none where no text does), and gets that of the new one.
   */
  sampleTokens(
    logits: Tensor,
    draws: Tensor | undefined,
    sequences: Tensor,
    sampling: Tensor,
    seen: Tensor | undefined,
    tokens: Tensor,
    logProbs: Tensor | undefined,
  ): void;

  /**
   * A token −1 − r of `tokens` [n] (i32) becomes drawn[r]: what was drawn need not be read before it is decoded. Where
   * drawn[r] is −1 it becomes 0, so that a text without a next token does not keep others from theirs.
   */
  drawnTokens(drawn: Tensor, tokens: Tensor): void;

  /** sumOfSquares [1] += Σ x², summed in a fixed order. */
  addSquaredNorm(x: Tensor, sumOfSquares: Tensor): void;
  /** One AdamW update of a parameter and its moments, in place. */
  adamW(
    parameter: Tensor,
    gradient: Tensor,
    firstMoment: Tensor,
    secondMoment: Tensor,
    sumOfSquares: Tensor,
    step: AdamWStep,
  ): void;
}
