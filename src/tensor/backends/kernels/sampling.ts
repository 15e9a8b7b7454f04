import type { Tensor } from '../../tensor.ts';

/** How the next token is sampled. The options apply in this order, each filter to what the previous ones have left. */
export interface Sampling {
  /**
   * Divides the logits of tokens that already occur in the text, or multiplies them if they are negative (Keskar et al.
   * 2019); 1 = off.
   */
  repetitionPenalty: number;
  /** 0 = greedy. */
  temperature: number;
  /** Keep the k most likely tokens; 0 = all. */
  topK: number;
  /** Keep the most likely tokens that together have this probability (Holtzman et al. 2020); 1 = all. */
  topP: number;
  /** Keep tokens at least this likely relative to the most likely one (Nguyen et al. 2024); 0 = all. */
  minP: number;
}

/** Number of 32-bit words per sequence in the `samplings` of a draw. */
export const samplingWords = 10;

/** The sampling options of a sequence in the form that kernels read: five doubles. */
export function wordsOf({ temperature, topK, topP, minP, repetitionPenalty }: Sampling): Int32Array {
  return new Int32Array(Float64Array.of(temperature, topK, topP, minP, repetitionPenalty).buffer);
}

export interface SamplingKernels {
  /** Samples the next token of each row of logits, or −1, as defined by `src/generation/sampler.ts`. */
  draw(call: {
    /** [rows, V] */
    logits: Tensor;
    /** The two random words of `RandomStream.uniform` for each row, [rows, 2] (i32); undefined if all are greedy. */
    draws: Tensor | undefined;
    /** The sequence of each row, [rows] (i32). */
    sequences: Tensor;
    /** [sequences, samplingWords] (i32) */
    samplings: Tensor;
    /**
     * One bit for each token that occurs in a text with a repetition penalty, [sequences, ⌈V / 32⌉] (i32); the bit of
     * the new token is set. Undefined if no text has a penalty.
     */
    seen: Tensor | undefined;
    /** → [rows] (i32) */
    tokens: Tensor;
    /** → [rows], log-probabilities at the temperature, before any filter. */
    logProbs: Tensor | undefined;
  }): void;
  /**
   * Replaces each token −1 − r of `tokens` [n] (i32) with drawn[r], so that drawn tokens need not be read before they
   * are decoded. If drawn[r] is −1 the token becomes 0, so that a text without a next token does not affect the others.
   */
  fillIn(drawn: Tensor, tokens: Tensor): void;
}
