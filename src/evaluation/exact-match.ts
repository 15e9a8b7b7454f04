import { encodePrompt } from '../data/encode.ts';
import type { PromptRow } from '../data/rows.ts';
import { RequestError } from '../errors.ts';
import { generate } from '../generation/generate.ts';
import type { Model } from '../model/model.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import { answeredItems, type TaskResult } from './task-result.ts';

/** A prompt, what the model made of it, and the right answer where there is one. */
export interface Answer {
  prompt: string;
  completion: string;
  expected?: string;
}

/** Greedy answers to conversations, with the right ones where they are known. */
export async function answerPrompts(
  model: Model,
  tokenizer: Tokenizer,
  rows: readonly PromptRow[],
  { maxNewTokens }: { maxNewTokens: number },
): Promise<Answer[]> {
  const prompts = rows.map(({ prompt }) => encodePrompt(prompt, tokenizer));
  const results = await generate(model, prompts, { maxNewTokens, stopIds: tokenizer.endIds });
  return results.map(({ tokens }, i) => {
    const { prompt, answer } = rows[i]!;
    const completion = tokenizer.decode(tokens, { skipSpecialTokens: true });
    return { prompt: prompt.at(-1)!.content, completion, ...(answer === undefined ? {} : { expected: answer }) };
  });
}

/**
 * Share of greedy answers that are the expected one, apart from case, outer spaces and a final full stop, over the rows
 * that have one.
 * @throws RequestError where none has
 */
export async function exactMatch(
  model: Model,
  tokenizer: Tokenizer,
  rows: readonly PromptRow[],
  options: { maxNewTokens: number },
): Promise<TaskResult> {
  const known = rows.filter(({ answer }) => answer !== undefined);
  if (known.length === 0) {
    const hint = 'give rows an `answer`';
    throw new RequestError({
      message: `there is nothing to compare with: none of ${rows.length} rows has an answer`,
      hint,
    });
  }
  const answers = await answerPrompts(model, tokenizer, known, options);
  const right = answers.map(isRight);
  const exactMatch = right.filter(Boolean).length / right.length;
  return { metrics: { exactMatch }, metric: 'exactMatch', items: answeredItems(right) };
}

export function isRight({ completion, expected = '' }: Answer): boolean {
  return normalised(completion) === normalised(expected);
}

function normalised(text: string): string {
  return text.trim().replace(/\.$/, '').toLowerCase();
}
