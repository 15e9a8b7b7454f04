import type { RewardModel } from '../checkpoint/reward-model.ts';
import { encodePrompt } from '../data/encode.ts';
import type { PromptRow } from '../data/rows.ts';
import type { Model } from '../model/model.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import { rollOut } from '../training/rollout.ts';
import { type ChatJudge, judgeGames, judgeRemark } from './chat-judge.ts';
import type { Completion } from './completion.ts';
import type { Answer } from './exact-match.ts';
import type { Metrics } from './metrics.ts';
import { modelReward, type RewardSource, verifiedReward } from './reward-sources.ts';
import { meansOf, type TaskResult } from './task-result.ts';

export interface Player {
  model: Model;
  tokenizer: Tokenizer;
}

export interface WinRateOptions {
  maxNewTokens: number;
  /** Judges beside the answers of the rows. */
  judge?: RewardModel | undefined;
  /** Judges as well, by reading both responses. */
  chatJudge?: ChatJudge | undefined;
}

/**
 * How often a model's sampled response is better than its opponent's to the same prompt: by the answers of the rows,
 * where all have one (`winRate`, `wins`, `losses`), and by a reward model, where there is one (`modelWinRate` and so
 * on), and by a judge behind an API (`chatWinRate` and so on). Items are judged by the first of these that there is.
 */
export async function winRates(
  player: Player,
  opponent: Player,
  rows: readonly PromptRow[],
  { maxNewTokens, judge, chatJudge }: WinRateOptions,
): Promise<TaskResult> {
  const [own, other] = [
    await responses(player, rows, { temperature: 1, maxNewTokens }),
    await responses(opponent, rows, { temperature: 1, maxNewTokens }),
  ];
  const judgedBy = async ({ rewardsOf }: RewardSource) => gameScores(await rewardsOf(own), await rewardsOf(other));
  const byAnswers = areVerifiable(rows) ? await judgedBy(verifiedReward('exact', 1)) : undefined;
  const byModel = judge && (await judgedBy(modelReward(judge, 1)));
  const metrics: Metrics = byAnswers ? winRate(byAnswers) : {};
  if (byModel) {
    const { winRate: modelWinRate, wins: modelWins, losses: modelLosses } = winRate(byModel);
    Object.assign(metrics, { modelWinRate, modelWins, modelLosses });
  }
  const games = rows.map(({ prompt }, i) => ({ question: asText(prompt), own: own[i]!.text, other: other[i]!.text }));
  const byChat = chatJudge && (await judgeGames(chatJudge, games));
  const read = byChat?.scores.filter((score) => score !== undefined) ?? [];
  if (byChat) {
    const { winRate: chatWinRate, wins: chatWins, losses: chatLosses } = winRate(read);
    Object.assign(metrics, { chatWinRate, chatWins, chatLosses, chatConsistency: byChat.consistency });
  }
  const scores: readonly (number | undefined)[] = byAnswers ?? byModel ?? byChat?.scores ?? [];
  const { stderr } = meansOf({
    ...(byAnswers && { winRate: byAnswers }),
    ...(byModel && { modelWinRate: byModel }),
    ...(byChat && { chatWinRate: read }),
  });
  return {
    metrics,
    stderr,
    remark: byChat && judgeRemark(byChat),
    metric: byAnswers ? 'winRate' : byModel ? 'modelWinRate' : 'chatWinRate',
    items: scores.flatMap((score, item) => (score === undefined ? [] : { item, score })),
  };
}

/** A conversation as a judge reads it. */
function asText(prompt: PromptRow['prompt']): string {
  if (prompt.length === 1) return prompt[0]!.content;
  return prompt.map(({ role, content }) => `${role}: ${content}`).join('\n');
}

export const areVerifiable = (rows: readonly PromptRow[]): boolean => rows.every(({ answer }) => answer !== undefined);

/** 1 where the first is rewarded more, ½ for a tie, 0 for a loss. */
export function gameScores(rewards: readonly number[], opponents: readonly number[]): number[] {
  return rewards.map((reward, i) => (1 + Math.sign(reward - opponents[i]!)) / 2);
}

/** Shares of games won and lost; in the win rate a tie counts a half. */
export function winRate(scores: readonly number[]): { winRate: number; wins: number; losses: number } {
  const share = (of: number): number => scores.filter((score) => score === of).length / scores.length;
  const [wins, losses] = [share(1), share(0)];
  return { winRate: (1 + wins - losses) / 2, wins, losses };
}

/**
 * One response to each prompt: greedy at temperature 0, else from the model's whole distribution. The random numbers
 * are the same for every model: equal models give equal responses, and what differs is the models.
 */
async function responses(
  { model, tokenizer }: Player,
  rows: readonly PromptRow[],
  options: { temperature: number; maxNewTokens: number },
): Promise<Completion[]> {
  const prompts = rows.map(({ prompt }, row) => ({ row, tokens: encodePrompt(prompt, tokenizer) }));
  const rollouts = await rollOut(model, prompts, { ...options, endIds: tokenizer.endIds, seed: 0 });
  return rollouts.map(({ row, prompt, response }) => ({
    row,
    prompt: rows[row]!,
    text: tokenizer.decode(response, { skipSpecialTokens: true }),
    tokens: Int32Array.from([...prompt, ...response]),
  }));
}

/** Greedy answers to the prompts, with what a judge makes of each where there is one. */
export async function judgedAnswers(
  player: Player,
  rows: readonly PromptRow[],
  { maxNewTokens, judge }: WinRateOptions,
): Promise<(Answer & { reward?: number })[]> {
  const answers = await responses(player, rows, { temperature: 0, maxNewTokens });
  const rewards = judge && (await modelReward(judge, 1).rewardsOf(answers));
  return answers.map(({ prompt: { prompt, answer }, text }, i) => ({
    prompt: prompt.at(-1)!.content,
    completion: text,
    ...(answer === undefined ? {} : { expected: answer }),
    ...(rewards && { reward: rewards[i]! }),
  }));
}
