import type { Sequence } from '../data/batch.ts';
import { checkSequences, encodeChoice, encodePlainChoice } from '../data/encode.ts';
import type { ChoiceRow } from '../data/rows.ts';
import { type Problem, RequestError } from '../errors.ts';
import type { Model } from '../model/model.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import { logLikelihoods } from '../training/sequence-log-probs.ts';
import { answeredItems, type TaskResult } from './task-result.ts';

/**
 * Multiple choice by log-likelihood of each choice as the answer, as lm-eval has it; `chat` asks through the chat
 * template. `accuracy` is the share of questions whose right choice is likeliest by length (log p divided by the code
 * points of the choice), `accuracyBySum` of those whose right choice has the largest log p, whatever its length, and
 * `chance` what guessing would give.
 */
export async function multipleChoice(
  model: Model,
  tokenizer: Tokenizer,
  rows: readonly ChoiceRow[],
  format: 'chat' | 'plain',
): Promise<TaskResult> {
  const encode = format === 'chat' ? encodeChoice : encodePlainChoice;
  const encoded = rows.map((row) => encode(row, tokenizer).continuations);
  requireTokens(encoded, rows);
  const sequences = encoded.flat();
  checkSequences(sequences, tokenizer, model.config, 'leave such questions out, or take a model with a longer context');
  const logProbs = await logLikelihoods(model, sequences);
  const [byLength, right]: [boolean[], number[]] = [[], []];
  let [bySum, chance, next] = [0, 0, 0];
  for (const { choices, answer } of rows) {
    const scores = logProbs.slice(next, next + choices.length);
    next += choices.length;
    right.push(scores[answer]!);
    bySum += Number(largest(scores) === answer);
    byLength.push(largest(scores.map((score, i) => score / codePoints(choices[i]!))) === answer);
    chance += 1 / choices.length;
  }
  const accuracy = byLength.filter(Boolean).length / rows.length;
  const metrics = { accuracy, accuracyBySum: bySum / rows.length, chance: chance / rows.length };
  return { metrics, metric: 'accuracy', items: answeredItems(byLength, right) };
}

/** A choice without a token of its own has log p 0, and would always win. @throws RequestError */
function requireTokens(encoded: readonly (readonly Sequence[])[], rows: readonly ChoiceRow[]): void {
  const problems = encoded.flatMap((continuations, row): Problem[] => {
    const without = continuations.findIndex(({ trained }) => !trained.includes(1));
    if (without < 0) return [];
    const choice = JSON.stringify(rows[row]!.choices[without]);
    return [
      {
        message: `row ${row + 1}: no token of the choice ${choice} is its own: it is empty, or merges with the text before it`,
      },
    ];
  });
  if (problems.length > 0) throw new RequestError(problems.slice(0, 10));
}

const codePoints = (text: string): number => [...text].length;

function largest(values: readonly number[]): number {
  return values.indexOf(Math.max(...values));
}
