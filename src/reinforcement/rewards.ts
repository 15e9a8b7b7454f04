import { resolve } from 'node:path';
import { z } from 'zod';
import { loadRewardModel, type RewardModel } from '../checkpoint/reward-model.ts';
import { given, oneOf } from '../config/conditions.ts';
import { openDataset } from '../data/dataset.ts';
import { assertSameTokenizer } from '../data/same-tokenizer.ts';
import { type Problem, RequestError } from '../errors.ts';
import { loadSchemaCheck } from '../evaluation/json-schema.ts';
import { loadRewardFunction, tryRewardFunction } from '../evaluation/reward-function.ts';
import {
  answerProblems,
  functionReward,
  modelReward,
  type RewardSource,
  schemaReward,
  verifications,
  verifiedReward,
} from '../evaluation/reward-sources.ts';
import { scoreScales } from '../losses/running-moments.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import type { ReinforcementRun } from './run.ts';

const weight = (of: string) => z.number().default(1).describe(`weight of ${of}; 0 = only measured, not learned from`);

/** Where rewards come from, and how their sum becomes the score of a response. */
export const rewardOptions = {
  reward: z
    .string()
    .optional()
    .describe('reward model: a stage or a Hugging Face directory; a .ts or .js file means rewardFunction'),
  rewardWeight: weight('the rewards of the reward model').meta({ condition: given('reward') }),
  verify: z
    .enum(['none', ...verifications])
    .default('none')
    .describe(
      "reward 1 if the response matches the row's answer: the same text, the same last number, a regular expression or a JSON schema",
    ),
  verifyWeight: weight('the rewards of verified answers').meta({ condition: oneOf('verify', ...verifications) }),
  jsonSchema: z
    .string()
    .optional()
    .describe('file with a JSON schema; reward 1 if the response is JSON that satisfies it'),
  jsonSchemaWeight: weight('the rewards of the JSON schema').meta({ condition: given('jsonSchema') }),
  rewardFunction: z
    .string()
    .optional()
    .describe('TypeScript or JavaScript file whose default export is (prompt, completion, answer) => number'),
  rewardFunctionWeight: weight('the rewards of the function').meta({ condition: given('rewardFunction') }),
  scoreScale: z
    .enum(scoreScales)
    .default('none')
    .describe(
      'deviation = divide scores by their running standard deviation; standard = also subtract their running mean first',
    ),
  scoreClip: z.number().positive().optional().describe('largest absolute value of a score, after scoreScale'),
  missingEosPenalty: z
    .number()
    .nonnegative()
    .default(1)
    .describe('subtracted from the score of a response that was cut off'),
};

export type RewardConfig = z.infer<z.ZodObject<typeof rewardOptions>> & { data: string };

/** `reward: ./my-reward.ts` means the function in that file, and `rewardWeight` is its weight. */
export function withRewardFile(written: unknown): unknown {
  const { reward, ...others }: Record<string, unknown> = Object(written);
  const isCode = typeof reward === 'string' && /\.[cm]?[jt]s$/.test(reward) && others.rewardFunction === undefined;
  if (!isCode) return written;
  const { rewardWeight, rewardFunctionWeight = rewardWeight, ...sources } = others;
  return {
    ...sources,
    rewardFunction: reward,
    ...(rewardFunctionWeight === undefined ? {} : { rewardFunctionWeight }),
  };
}

/** Problems with the sources of rewards that can be detected before any work; `where` is a key. */
export async function rewardProblems(config: RewardConfig, baseDirectory: string): Promise<Problem[]> {
  const splits = ['train', 'test'] as const;
  const read = splits.map((split) => openDataset(config.data, 'prompt', { baseDirectory, split, allowEmpty: true }));
  const rows = (await Promise.all(read)).flatMap((dataset) => dataset.rows);
  const problems = [
    ...sourceProblems(config),
    ...(config.verify === 'none' ? [] : answerProblems(rows, config.verify)),
  ];
  const check = async (
    key: 'jsonSchema' | 'rewardFunction',
    use: (path: string) => Promise<unknown>,
  ): Promise<void> => {
    const file = config[key];
    if (file === undefined) return;
    try {
      await use(resolve(baseDirectory, file));
    } catch (error) {
      if (!(error instanceof RequestError)) throw error;
      problems.push(...error.problems.map((problem) => ({ ...problem, where: key })));
    }
  };
  await check('jsonSchema', loadSchemaCheck);
  await check('rewardFunction', async (path) => {
    const reward = await loadRewardFunction(path);
    if (rows[0]) await tryRewardFunction(reward, rows[0]);
  });
  return problems;
}

/** Names of the reward sources in a config. */
export function sourceNames({ reward, verify, jsonSchema, rewardFunction }: RewardConfig): RewardSource['name'][] {
  const sources: [RewardSource['name'], boolean][] = [
    ['modelReward', reward !== undefined],
    ['verifiedReward', verify !== 'none'],
    ['schemaReward', jsonSchema !== undefined],
    ['functionReward', rewardFunction !== undefined],
  ];
  return sources.flatMap(([name, isThere]) => (isThere ? [name] : []));
}

function sourceProblems(config: RewardConfig): Problem[] {
  const weights = [
    config.reward === undefined ? undefined : config.rewardWeight,
    config.verify === 'none' ? undefined : config.verifyWeight,
    config.jsonSchema === undefined ? undefined : config.jsonSchemaWeight,
    config.rewardFunction === undefined ? undefined : config.rewardFunctionWeight,
  ].filter((weight) => weight !== undefined);
  if (weights.some((weight) => weight !== 0)) return [];
  const message = weights.length === 0 ? 'no source of rewards is given' : 'every source of rewards has weight 0';
  const hint = 'set `verify: exact`, `reward: STAGE OR DIRECTORY`, `jsonSchema: FILE` or `rewardFunction: ./reward.ts`';
  return [{ where: 'reward', message, hint }];
}

export interface Rewards {
  rewardModel: RewardModel | undefined;
  sources: readonly RewardSource[];
}

/** Opens the sources that the config names. @throws RequestError if one does not fit the policy or its prompts */
export async function openRewards(
  config: RewardConfig,
  { backend, baseDirectory, inputs }: ReinforcementRun,
  tokenizer: Tokenizer,
): Promise<Rewards> {
  const problems = await rewardProblems(config, baseDirectory);
  if (problems.length > 0) throw new RequestError(problems);
  const directory = inputs.reward?.[0]?.directory;
  const pathOf = (file: string): string => resolve(baseDirectory, file);
  if (directory) await assertSameTokenizer(tokenizer, directory, 'reward');
  const rewardModel = directory ? await loadRewardModel(directory, backend) : undefined;
  const sources: RewardSource[] = [];
  if (rewardModel) sources.push(modelReward(rewardModel, config.rewardWeight));
  if (config.verify !== 'none') sources.push(verifiedReward(config.verify, config.verifyWeight));
  if (config.jsonSchema !== undefined) {
    sources.push(schemaReward(await loadSchemaCheck(pathOf(config.jsonSchema)), config.jsonSchemaWeight));
  }
  if (config.rewardFunction !== undefined) {
    const reward = await loadRewardFunction(pathOf(config.rewardFunction));
    sources.push(functionReward(reward, config.rewardFunctionWeight));
  }
  return { rewardModel, sources };
}
