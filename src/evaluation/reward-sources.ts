import type { RewardModel } from '../checkpoint/reward-model.ts';
import type { PromptRow } from '../data/rows.ts';
import { type Problem, RunError } from '../errors.ts';
import { TimeLimitError, withinTime } from '../time-limit.ts';
import { rewardScores } from '../training/reward.ts';
import type { Completion } from './completion.ts';
import { isRight } from './exact-match.ts';
import { type SchemaCheck, schemaCheck } from './json-schema.ts';
import { isSameNumber, lastNumber } from './numbers.ts';
import type { RewardFunction } from './reward-function.ts';

export interface RewardSource {
  /** Name of its metric. */
  name: 'modelReward' | 'verifiedReward' | 'schemaReward' | 'functionReward';
  /** What its rewards are multiplied by in the sum of all sources; 0 for one that only judges. */
  weight: number;
  rewardsOf(completions: readonly Completion[]): Promise<number[]>;
}

export const verifications = ['exact', 'number', 'regex', 'schema'] as const;
export type Verification = (typeof verifications)[number];

/**
 * 1 for a right answer, else 0:
 *
 * - `exact`: the row's answer, apart from case, outer spaces and a final full stop
 * - `number`: the last number in the completion is the last number in the answer, however written (`lastNumber`)
 * - `regex`: the answer is a regular expression that the completion matches
 * - `schema`: the answer is a JSON schema, and the completion is JSON that satisfies it
 */
const isVerified: Record<Verification, (completion: string, answer: string) => boolean> = {
  exact: (completion, answer) => isRight({ prompt: '', completion, expected: answer }),
  number: (completion, answer) => {
    const [given, right] = [lastNumber(completion), lastNumber(answer)];
    return given !== undefined && right !== undefined && isSameNumber(given, right);
  },
  regex: (completion, answer) => withinTime(timeLimit, () => new RegExp(answer).test(completion)),
  schema: (completion, answer) => compiledSchema(answer)(completion),
};

/** Milliseconds in which a regular expression has matched or not. */
const timeLimit = 1000;

const compiledSchemas = new Map<string, SchemaCheck>();

/** Rows are answered many times, and compiling a schema takes milliseconds. */
function compiledSchema(text: string): SchemaCheck {
  const check = compiledSchemas.get(text) ?? schemaCheck(text);
  compiledSchemas.set(text, check);
  return check;
}

export function modelReward(model: Pick<RewardModel, 'model' | 'offset'>, weight: number): RewardSource {
  const rewardsOf = (completions: readonly Completion[]): Promise<number[]> =>
    rewardScores(
      model,
      completions.map(({ tokens }) => tokens),
    );
  return { name: 'modelReward', weight, rewardsOf };
}

export function verifiedReward(kind: Verification, weight: number): RewardSource {
  const rewardOf = (completion: Completion): number =>
    inTime(`verify: ${kind}`, completion, () => isVerified[kind](completion.text, completion.prompt.answer!));
  return { name: 'verifiedReward', weight, rewardsOf: async (completions) => completions.map(rewardOf) };
}

/** 1 or 0; a check that does not end is a RunError that names the row. */
function inTime(source: string, { row, text }: Completion, isRight: () => boolean): number {
  try {
    return Number(isRight());
  } catch (error) {
    if (!(error instanceof TimeLimitError)) throw error;
    throw new RunError(
      `${source}, row ${row + 1}: the check of a completion of ${text.length} characters ${error.message}`,
      {
        hint: 'its regular expression backtracks too much: avoid nested repetition such as (a+)+',
      },
    );
  }
}

/** The rows whose answers cannot be verified so: the first five, and how many more; `where` is the key. */
export function answerProblems(rows: readonly PromptRow[], kind: Verification): Problem[] {
  const problems = rows.flatMap(({ answer }, row): Problem[] => {
    const message = answerProblem(answer, kind);
    return message ? [{ where: 'verify', message: `row ${row + 1}: ${message}` }] : [];
  });
  if (problems.length === 0) return [];
  const shown = problems.slice(0, 5);
  const rest = problems.length - shown.length;
  const { message } = shown.at(-1)!;
  const hint = 'give every row an `answer`, or reward with `reward` or `rewardFunction`';
  return shown.with(-1, { where: 'verify', message: rest > 0 ? `${message}, and ${rest} more rows` : message, hint });
}

function answerProblem(answer: string | undefined, kind: Verification): string | undefined {
  if (answer === undefined) return 'has no answer to verify';
  if (kind === 'number' && lastNumber(answer) === undefined) return `no number in the answer ${JSON.stringify(answer)}`;
  try {
    if (kind === 'regex') new RegExp(answer);
    if (kind === 'schema') compiledSchema(answer);
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

/** 1 for a response that is JSON and satisfies a schema, else 0. */
export function schemaReward(satisfies: SchemaCheck, weight: number): RewardSource {
  const rewardOf = (completion: Completion): number =>
    inTime('jsonSchema', completion, () => satisfies(completion.text));
  return { name: 'schemaReward', weight, rewardsOf: async (completions) => completions.map(rewardOf) };
}

export function functionReward(reward: RewardFunction, weight: number): RewardSource {
  return { name: 'functionReward', weight, rewardsOf: reward };
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
