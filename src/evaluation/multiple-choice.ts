import { checkSequences, encodeChoice, encodePlainChoice } from '../data/encode.ts';
import type { ChoiceRow } from '../data/rows.ts';
import type { Model } from '../model/model.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import { logLikelihoods } from '../training/sequence-log-probs.ts';

export interface MultipleChoice {
  /** Share of questions whose right choice is likeliest by length: log p divided by the code points of the choice. */
  accuracy: number;
  /** The same by log p as it is. */
  accuracyBySum: number;
  /** What guessing would give. */
  chance: number;
}

/** Multiple choice by log-likelihood of each choice as the answer, as lm-eval has it; `chat` asks through the chat template. */
export async function multipleChoice(
  model: Model,
  tokenizer: Tokenizer,
  rows: readonly ChoiceRow[],
  format: 'chat' | 'plain',
): Promise<MultipleChoice> {
  const encode = format === 'chat' ? encodeChoice : encodePlainChoice;
  const sequences = rows.flatMap((row) => encode(row, tokenizer).continuations);
  checkSequences(sequences, tokenizer, model.config, 'leave such questions out, or take a model with a longer context');
  const logProbs = await logLikelihoods(model, sequences);
  let [byLength, bySum, chance, next] = [0, 0, 0, 0];
  for (const { choices, answer } of rows) {
    const scores = logProbs.slice(next, next + choices.length);
    next += choices.length;
    bySum += Number(largest(scores) === answer);
    byLength += Number(largest(scores.map((score, i) => score / codePoints(choices[i]!))) === answer);
    chance += 1 / choices.length;
  }
  return { accuracy: byLength / rows.length, accuracyBySum: bySum / rows.length, chance: chance / rows.length };
}

const codePoints = (text: string): number => [...text].length;

function largest(values: readonly number[]): number {
  return values.indexOf(Math.max(...values));
}
