import { pathToFileURL } from 'node:url';
import type { RewardModel } from '../checkpoint/reward-model.ts';
import type { PromptRow } from '../data/rows.ts';
import { type Problem, RequestError, RunError } from '../errors.ts';
import { rewardScores } from '../training/reward.ts';
import { isRight } from './exact-match.ts';

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

export interface RewardSource {
  /** Name of its metric. */
  name: 'modelReward' | 'verifiedReward' | 'functionReward';
  /** What its rewards are multiplied by in the sum of all sources. */
  weight: number;
  rewardsOf(completions: readonly Completion[]): Promise<number[]>;
}

/** A user's own reward of one completion. */
export type RewardFunction = (
  prompt: string,
  completion: string,
  answer: string | undefined,
) => number | Promise<number>;

export const verifications = ['exact', 'number', 'regex'] as const;
export type Verification = (typeof verifications)[number];

/**
 * 1 for a right answer, else 0:
 *
 * - `exact`: the row's answer, apart from case, outer spaces and a final full stop
 * - `number`: the last number in the completion is the last number in the answer
 * - `regex`: the answer is a regular expression that the completion matches
 */
const isVerified: Record<Verification, (completion: string, answer: string) => boolean> = {
  exact: (completion, answer) => isRight({ prompt: '', completion, expected: answer }),
  number: (completion, answer) => lastNumber(completion) === lastNumber(answer),
  regex: (completion, answer) => new RegExp(answer).test(completion),
};

export function modelReward(model: Pick<RewardModel, 'model' | 'offset'>, weight: number): RewardSource {
  const rewardsOf = (completions: readonly Completion[]): Promise<number[]> =>
    rewardScores(
      model,
      completions.map(({ tokens }) => tokens),
    );
  return { name: 'modelReward', weight, rewardsOf };
}

export function verifiedReward(kind: Verification, weight: number): RewardSource {
  const rewardOf = ({ text, prompt }: Completion): number => Number(isVerified[kind](text, prompt.answer!));
  return { name: 'verifiedReward', weight, rewardsOf: async (completions) => completions.map(rewardOf) };
}

/** @throws RequestError listing the rows whose answers cannot be verified so */
export function checkAnswers(rows: readonly PromptRow[], kind: Verification, where: string): void {
  const problems = rows.flatMap(({ answer }, row): Problem[] => {
    const message = answerProblem(answer, kind);
    return message ? [{ where, message: `row ${row + 1}: ${message}` }] : [];
  });
  if (problems.length === 0) return;
  const shown = problems.slice(0, 5);
  const rest = problems.length - shown.length;
  const hint = 'give every row an `answer`, or reward with `reward` or `rewardFunction`';
  const last = {
    ...shown.at(-1)!,
    message: `${shown.at(-1)!.message}${rest > 0 ? `, and ${rest} more rows` : ''}`,
    hint,
  };
  throw new RequestError([...shown.slice(0, -1), last]);
}

function answerProblem(answer: string | undefined, kind: Verification): string | undefined {
  if (answer === undefined) return 'has no answer to verify';
  if (kind === 'number' && lastNumber(answer) === undefined) return `no number in the answer ${JSON.stringify(answer)}`;
  if (kind !== 'regex') return undefined;
  try {
    new RegExp(answer);
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

/** The last number in a text; commas between digits are left out. */
function lastNumber(text: string): number | undefined {
  const last = text.match(/-?\d[\d,]*(?:\.\d+)?/g)?.at(-1);
  return last === undefined ? undefined : Number(last.replaceAll(',', ''));
}

/**
 * The function that a JavaScript module has as its default export.
 * @throws RequestError where there is none
 */
export async function loadRewardFunction(path: string): Promise<RewardFunction> {
  const where = `rewardFunction ${path}`;
  const hint = 'the file needs `export default (prompt, completion, answer) => NUMBER`';
  const module = await import(pathToFileURL(path).href).catch((error: Error) => {
    throw new RequestError({ where, message: `cannot be loaded: ${error.message}`, hint });
  });
  if (typeof module.default === 'function') return module.default;
  throw new RequestError({ where, message: 'has no function as its default export', hint });
}

/** Rewards by a user's function. What it throws, or gives instead of a number, is a RunError that names the row. */
export function functionReward(reward: RewardFunction, weight: number): RewardSource {
  const rewardOf = async ({ row, prompt, text }: Completion): Promise<number> => {
    const question = prompt.prompt.at(-1)!.content;
    const place = `rewardFunction, row ${row + 1} (${JSON.stringify(question.slice(0, 60))})`;
    const value = await Promise.resolve()
      .then(() => reward(question, text, prompt.answer))
      .catch((cause: unknown) => {
        throw new RunError(`${place}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
      });
    if (typeof value === 'number' && Number.isFinite(value)) return value;
    throw new RunError(
      `${place}: gave ${JSON.stringify(value) ?? value}${typeof value === 'number' ? ` (${value})` : ''}`,
      {
        hint: `it must give a finite number; the completion was ${JSON.stringify(text)}`,
      },
    );
  };
  return { name: 'functionReward', weight, rewardsOf: (completions) => Promise.all(completions.map(rewardOf)) };
}

/** The weighted sum of all sources for each completion, and what each source gave by itself. */
export async function rewardsOf(
  sources: readonly RewardSource[],
  completions: readonly Completion[],
): Promise<{ total: number[]; bySource: Map<RewardSource['name'], number[]> }> {
  const total = completions.map(() => 0);
  const bySource = new Map<RewardSource['name'], number[]>();
  for (const { name, weight, rewardsOf } of sources) {
    const rewards = await rewardsOf(completions);
    bySource.set(name, rewards);
    rewards.forEach((reward, i) => {
      total[i]! += weight * reward;
    });
  }
  return { total, bySource };
}
