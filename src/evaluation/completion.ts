import type { PromptRow } from '../data/rows.ts';

/** A response that is to be rewarded. */
export interface Completion {
  /** Index among the rows of the data. */
  row: number;
  prompt: PromptRow;
  /** What was answered, as text. */
  text: string;
  /** Ids of the prompt and the response, up to and with the end token. */
  tokens: Int32Array;
}
