import { loadRewardModel, type RewardModel } from '../../checkpoint/reward-model.ts';
import { serves } from '../../data/dataset.ts';
import { checkSequences, type EncodedSequence } from '../../data/encode.ts';
import { encodeConversations, encodePairs } from '../../data/preflight.ts';
import { type ReliabilityBin, reliability, rewardMeasures } from '../../evaluation/reward.ts';
import { heldOutRows } from '../../evaluation/tasks.ts';
import { releaseModel } from '../../model/model.ts';
import { openBackend } from '../../tensor/backends/open.ts';
import { loadTokenizer } from '../../tokenizer/open.ts';
import type { Tokenizer } from '../../tokenizer/tokenizer.ts';
import { rewardScores, scoredText } from '../../training/reward.ts';
import type { AddCommand } from '../command.ts';
import { addMachineOptions, type MachineFlags, machineOf, readableModel } from '../model.ts';
import { jsonOption, wholeNumber } from '../options.ts';
import { print, tell } from '../output.ts';
import { table } from '../table.ts';

interface ScoreFlags extends MachineFlags {
  data: string;
  rows?: number;
  json: boolean;
}

interface ScoredPairs {
  rows: { chosen: number; rejected: number }[];
  measures: Record<string, number>;
  reliability: ReliabilityBin[];
}

interface ScoredConversations {
  rows: { reward: number }[];
  mean: number;
}

export const addScoreCommand: AddCommand = (parent, { action }) => {
  const command = parent
    .command('score')
    .summary('score answers with a reward model')
    .description(
      'Score the last answer of each conversation, or both answers of each preference pair, with a reward model.',
    )
    .argument('<model>', 'reward model: Hugging Face directory, or the folder of a finished run')
    .requiredOption('--data <source>', 'conversations, instructions or preference pairs; for town/…, those held out')
    .option('--rows <number>', 'maximum number of rows to score', wholeNumber(1));
  addMachineOptions(command)
    .addOption(jsonOption())
    .action(action((model: string, flags: ScoreFlags) => run(model, flags)));
};

async function run(path: string, flags: ScoreFlags): Promise<number> {
  const directory = await readableModel(path);
  const tokenizer = await loadTokenizer(directory);
  const { backend, explanation } = await openBackend({ ...machineOf(flags), threads: flags.threads });
  tell(explanation);
  try {
    const model = await loadRewardModel(directory, backend);
    const isPreference = await serves(flags.data, 'preference', process.cwd());
    if (isPreference) {
      const scored = await scorePairs(model, tokenizer, flags);
      print(flags.json ? scored : pairsText(scored), flags.json);
    } else {
      const scored = await scoreConversations(model, tokenizer, flags);
      print(flags.json ? scored : conversationsText(scored), flags.json);
    }
    releaseModel(model.model);
  } finally {
    await backend.dispose();
  }
  return 0;
}

const rowOptions = ({ rows = Number.POSITIVE_INFINITY }: ScoreFlags) => ({
  holdOut: 0,
  rows,
  baseDirectory: process.cwd(),
  log: tell,
});

async function scorePairs(reward: RewardModel, tokenizer: Tokenizer, flags: ScoreFlags): Promise<ScoredPairs> {
  const rows = await heldOutRows(flags.data, 'preference', rowOptions(flags));
  const { pairs } = encodePairs(rows, tokenizer, encodeOptions);
  const [chosen, rejected] = [pairs.map((pair) => pair.chosen), pairs.map((pair) => pair.rejected)];
  const chosenRewards = await rewardsOf(reward, tokenizer, chosen);
  const rejectedRewards = await rewardsOf(reward, tokenizer, rejected);
  const scored = pairs.map((_, i) => ({
    chosen: chosenRewards[i]!,
    rejected: rejectedRewards[i]!,
    longerBy: scoredText(chosen[i]!).length - scoredText(rejected[i]!).length,
  }));
  return {
    rows: scored.map(({ chosen, rejected }) => ({ chosen, rejected })),
    measures: rewardMeasures(scored),
    reliability: reliability(scored),
  };
}

async function scoreConversations(
  reward: RewardModel,
  tokenizer: Tokenizer,
  flags: ScoreFlags,
): Promise<ScoredConversations> {
  const rows = await heldOutRows(flags.data, 'messages', rowOptions(flags));
  const { sequences } = encodeConversations(rows, tokenizer, encodeOptions);
  const rewards = await rewardsOf(reward, tokenizer, sequences);
  const mean = rewards.reduce((total, value) => total + value, 0) / rewards.length;
  return { rows: rewards.map((value) => ({ reward: value })), mean };
}

/** Sequences that are too long for the model are refused after encoding. */
const encodeOptions = { maxLength: Number.POSITIVE_INFINITY, allowMissingEnd: true };

function rewardsOf(
  reward: RewardModel,
  tokenizer: Tokenizer,
  sequences: readonly EncodedSequence[],
): Promise<number[]> {
  checkSequences(
    sequences,
    tokenizer,
    reward.model.config,
    'remove these rows: the score of a truncated text would be meaningless',
  );
  return rewardScores(reward, sequences.map(scoredText));
}

function pairsText({ rows, measures, reliability }: ScoredPairs): string {
  const rewards = rows.map(({ chosen, rejected }, i) => [
    String(i + 1),
    chosen.toFixed(4),
    rejected.toFixed(4),
    (chosen - rejected).toFixed(4),
  ]);
  const bins = reliability
    .filter(({ pairs }) => pairs > 0)
    .map(({ from, to, pairs, confidence, accuracy }) => [
      `${from.toFixed(1)}–${to.toFixed(1)}`,
      String(pairs),
      confidence.toFixed(3),
      accuracy.toFixed(3),
    ]);
  return [
    table(['row', 'chosen', 'rejected', 'margin'], rewards),
    table(
      ['measure', 'value'],
      Object.entries(measures).map(([name, value]) => [name, value.toFixed(4)]),
    ),
    table(['confidence', 'pairs', 'mean confidence', 'share right'], bins),
  ].join('\n\n');
}

function conversationsText({ rows, mean }: ScoredConversations): string {
  const rewards = rows.map(({ reward }, i) => [String(i + 1), reward.toFixed(4)]);
  return table(['row', 'reward'], [...rewards, ['mean', mean.toFixed(4)]]);
}
