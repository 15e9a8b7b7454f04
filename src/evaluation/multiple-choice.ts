import type { Sequence } from '../data/batch.ts';
import { encodeChoices } from '../data/encode.ts';
import type { ChoiceRow, QuestionOf } from '../data/rows.ts';
import { encodeScoredText } from '../data/scored-text.ts';
import { type Problem, RequestError } from '../errors.ts';
import type { Model } from '../model/model.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import { constantAnswers } from './constant-answers.ts';
import { answeredItems, meansOf, type TaskResult } from './task-result.ts';
import { scoreTexts } from './text-scores.ts';

/** How the log p of a choice is made comparable with those of longer and shorter ones. */
const lengths = {
  /** lm-evaluation-harness' `acc_norm`: divided by the code points of the choice. */
  accuracy: (choice: string): number => [...choice].length,
  /** Its `acc`: the sum as it is. */
  accuracyBySum: (): number => 1,
  /** Its `acc_bytes`: divided by the UTF-8 bytes of the choice. */
  accuracyByBytes: (choice: string): number => Buffer.byteLength(choice),
};

export type ChoiceMetric = keyof typeof lengths;

/** What decides a question: its choices, and which is right. */
type Choices = Pick<QuestionOf['choice'], 'choices' | 'answer'>;

/** Questions as the assistant is asked them, through the chat template. */
export function askInChat(rows: readonly ChoiceRow[], tokenizer: Tokenizer): Sequence[][] {
  return rows.map((row) => encodeChoices(row, tokenizer));
}

/** Questions as a text that goes on with the answer, for models that have seen no conversation. */
export function askPlainly(rows: readonly ChoiceRow[], tokenizer: Tokenizer): Sequence[][] {
  return rows.map(({ prompt, choices }) => {
    const context = `Question: ${prompt.map(({ content }) => content).join('\n')}\nAnswer:`;
    return choices.map((choice) => encodeScoredText({ context, continuation: ` ${choice}` }, tokenizer));
  });
}

/**
 * Multiple choice: the likeliest choice is the answer, the first of equals. For each metric the share of right answers
 * with its standard error, and what guessing would give (`chance`). `encoded` has a sequence for each choice of each
 * row, in which what is scored is trained; the items are those of the first metric.
 * @throws RequestError where a choice has no token of its own, or the model cannot read one
 */
export async function multipleChoice(
  model: Model,
  tokenizer: Tokenizer,
  rows: readonly Choices[],
  encoded: readonly (readonly Sequence[])[],
  wanted: readonly [ChoiceMetric, ...ChoiceMetric[]],
): Promise<TaskResult> {
  requireTokens(encoded, rows);
  const hint = 'leave such questions out, or take a model with a longer context';
  const { logProbs } = await scoreTexts(model, tokenizer, encoded.flat(), hint);
  let next = 0;
  const questions = rows.map(({ choices, answer }) => {
    const scores = logProbs.slice(next, next + choices.length);
    next += choices.length;
    return { choices, answer, scores };
  });
  const chosenBy = (metric: ChoiceMetric): number[] =>
    questions.map(({ choices, scores }) => largest(scores.map((score, i) => score / lengths[metric](choices[i]!))));
  const answers = rows.map(({ answer }) => answer);
  const rightOf = (chosen: readonly number[]): boolean[] => chosen.map((choice, i) => choice === answers[i]);
  const { metrics, stderr } = meansOf(
    Object.fromEntries(wanted.map((metric) => [metric, rightOf(chosenBy(metric)).map(Number)])),
  );
  const chance = rows.reduce((sum, { choices }) => sum + 1 / choices.length, 0) / rows.length;
  const chosen = chosenBy(wanted[0]);
  const ofAnswers = questions.map(({ scores, answer }) => scores[answer]!);
  return {
    metrics: { ...metrics, chance },
    stderr,
    remark: constantAnswers(chosen, answers),
    metric: wanted[0],
    items: answeredItems(rightOf(chosen), ofAnswers),
  };
}

/** A choice without a token of its own has log p 0, and would always win. @throws RequestError */
function requireTokens(encoded: readonly (readonly Sequence[])[], rows: readonly Choices[]): void {
  const problems = encoded.flatMap((sequences, row): Problem[] => {
    const without = sequences.findIndex(({ trained }) => !trained.includes(1));
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

function largest(values: readonly number[]): number {
  return values.indexOf(Math.max(...values));
}
