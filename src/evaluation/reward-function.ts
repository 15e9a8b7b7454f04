import { access } from 'node:fs/promises';
import { register } from 'node:module';
import { pathToFileURL } from 'node:url';
import type { PromptRow } from '../data/rows.ts';
import { RequestError, RunError } from '../errors.ts';
import { packageFile } from '../files.ts';
import type { Completion } from './completion.ts';

/** A response as a user's own function sees it. */
export interface RewardedResponse {
  /** The last turn of the conversation. */
  prompt: string;
  completion: string;
  /** The answer of the row, where it has one. */
  answer: string | undefined;
}

/** A user's own rewards. What the user's code throws, or gives instead of numbers, is a RunError that names the row. */
export type RewardFunction = (completions: readonly Completion[]) => Promise<number[]>;

const hint =
  'the file needs `export default (prompt, completion, answer) => NUMBER`, or `export function rewards(responses)` that returns a list of numbers';

/**
 * The function of a module: `export default` for one response, or `export function rewards` for all of an iteration at
 * once. TypeScript is compiled, in files that it imports as well.
 * @throws RequestError where there is none, or the file cannot be loaded
 */
export async function loadRewardFunction(path: string): Promise<RewardFunction> {
  await access(path).catch((error: Error) => {
    throw new RequestError({ where: path, message: `cannot be read: ${error.message}`, hint });
  });
  if (/\.[cm]?ts$/.test(path)) acceptTypeScript();
  const module = await import(pathToFileURL(path).href).catch((error: Error) => {
    throw new RequestError({ where: path, message: `cannot be loaded: ${error.message}`, hint });
  });
  if (typeof module.default === 'function') return rewardsOneByOne(module.default);
  if (typeof module.rewards === 'function') return rewardsAtOnce(module.rewards);
  throw new RequestError({ where: path, message: 'has no function as its default export', hint });
}

let acceptsTypeScript = false;

/** Node 20 cannot import TypeScript. If mixtune runs from its own sources, whatever runs them can import others too. */
function acceptTypeScript(): void {
  const isCompiled = import.meta.url.endsWith('.js');
  if (!acceptsTypeScript && isCompiled) register(pathToFileURL(packageFile('dist/evaluation/typescript-loader.js')));
  acceptsTypeScript = true;
}

/**
 * Calls the function for an empty completion of a row, as a policy may give one: what it throws, or gives instead of a
 * number, is a RequestError before any work.
 */
export async function tryRewardFunction(reward: RewardFunction, row: PromptRow): Promise<void> {
  try {
    await reward([{ row: 0, prompt: row, text: '', tokens: new Int32Array() }]);
  } catch (error) {
    if (!(error instanceof RunError)) throw error;
    const message = `called with an empty completion: ${error.message}`;
    throw new RequestError({ message, hint: error.hint ?? 'a policy can produce an empty completion' });
  }
}

export function rewardsOneByOne(
  reward: (prompt: string, completion: string, answer: string | undefined) => unknown,
): RewardFunction {
  const rewardOf = async (completion: Completion): Promise<number> => {
    const { prompt, completion: text, answer } = asGiven(completion);
    try {
      return checkedReward(await reward(prompt, text, answer), completion);
    } catch (cause) {
      throw cause instanceof RunError ? cause : new RunError(`${placeOf(completion)}: ${messageOf(cause)}`, { cause });
    }
  };
  return (completions) => Promise.all(completions.map(rewardOf));
}

export function rewardsAtOnce(rewards: (responses: readonly RewardedResponse[]) => unknown): RewardFunction {
  return async (completions) => {
    const place = `rewardFunction, ${completions.length} responses, the first to row ${completions[0]!.row + 1}`;
    let given: unknown;
    try {
      given = await rewards(completions.map(asGiven));
    } catch (cause) {
      throw new RunError(`${place}: ${messageOf(cause)}`, { cause });
    }
    if (!Array.isArray(given)) throw new RunError(`${place}: gave ${shown(given)}, not a list of numbers`);
    if (given.length !== completions.length) {
      throw new RunError(`${place}: gave ${given.length} rewards`, {
        hint: 'it must return one number per response, in order',
      });
    }
    return completions.map((completion, i) => checkedReward(given[i], completion));
  };
}

function asGiven({ prompt, text }: Completion): RewardedResponse {
  return { prompt: prompt.prompt.at(-1)!.content, completion: text, answer: prompt.answer };
}

function checkedReward(value: unknown, completion: Completion): number {
  if (typeof value === 'number' && Number.isFinite(value)) return value;
  throw new RunError(`${placeOf(completion)}: gave ${shown(value)}`, {
    hint: `it must return a finite number; the completion was ${JSON.stringify(completion.text)}`,
  });
}

function placeOf({ row, prompt }: Completion): string {
  return `rewardFunction, row ${row + 1} (${JSON.stringify(prompt.prompt.at(-1)!.content.slice(0, 60))})`;
}

const shown = (value: unknown): string =>
  typeof value === 'number' ? String(value) : (JSON.stringify(value) ?? String(value));

const messageOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause));
