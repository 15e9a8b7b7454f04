import type { Tensor } from '../../tensor.ts';

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

/** 32-bit words of a sequence in the `samplings` of a draw. */
export const samplingWords = 10;

/** How a sequence is sampled, as kernels read it: five doubles. */
export function wordsOf({ temperature, topK, topP, minP, repetitionPenalty }: Sampling): Int32Array {
  return new Int32Array(Float64Array.of(temperature, topK, topP, minP, repetitionPenalty).buffer);
}

export interface SamplingKernels {
  /** The next token of each row of logits, or −1 (src/generation/sampler.ts is the definition). */
  draw(call: {
    /** [rows, V] */
    logits: Tensor;
    /** [rows, 2] (i32), the two words of `RandomStream.uniform`; none where all rows are greedy. */
    draws: Tensor | undefined;
    /** [rows] (i32) */
    sequences: Tensor;
    /** [sequences, samplingWords] (i32) */
    samplings: Tensor;
    /**
     * [sequences, ⌈V / 32⌉] (i32), one bit for each token of a text that penalises repetition, which gets that of the
     * new one; none where no text does.
     */
    seen: Tensor | undefined;
    /** → [rows] (i32) */
    tokens: Tensor;
    /** → [rows], log-probabilities at the temperature before any filter. */
    logProbs: Tensor | undefined;
  }): void;
  /**
   * A token −1 − r of `tokens` [n] (i32) becomes drawn[r]: what was drawn need not be read before it is decoded. Where
   * drawn[r] is −1 it becomes 0, so that a text without a next token does not keep others from theirs.
   */
  fillIn(drawn: Tensor, tokens: Tensor): void;
}
