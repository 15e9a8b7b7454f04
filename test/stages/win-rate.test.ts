import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { saveModel } from '../../src/checkpoint/load-model.ts';
import { rewardModelFrom } from '../../src/checkpoint/reward-model.ts';
import { gameScores, winRate } from '../../src/evaluation/win-rate.ts';
import { initialiseModel } from '../../src/model/initialise.ts';
import { releaseModel } from '../../src/model/model.ts';
import { presetConfig } from '../../src/model/presets.ts';
import type { ItemRow } from '../../src/runs/items.ts';
import type { ResultRow } from '../../src/runs/results.ts';
import { compareStage } from '../../src/stages/compare.ts';
import type { StageInput } from '../../src/stages/stage.ts';
import type { Backend } from '../../src/tensor/backends/backend.ts';
import { openBackend } from '../../src/tensor/backends/open.ts';
import { trainTokenizer } from '../../src/tokenizer/train.ts';

test('a tie counts a half in the win rate, and nothing in wins and losses', () => {
  expect(winRate(gameScores([1, 1, 0, 0.5], [0, 1, 1, 0.25]))).toEqual({ winRate: 0.625, wins: 0.5, losses: 0.25 });
});

describe('compare', () => {
  let directory: string;
  let backend: Backend;

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'mixtune-win-rate-'));
    ({ backend } = await openBackend({ precision: 'f32' }));
    const tokenizer = trainTokenizer(['How much is one and one? Two.'], { vocabSize: 300 });
    const config = { ...presetConfig('1m'), vocabSize: tokenizer.vocabSize };
    for (const [name, seed] of [
      ['before', 1],
      ['opponent', 2],
      ['other', 3],
    ] as const) {
      const model = await initialiseModel(config, backend, seed);
      await mkdir(join(directory, name));
      await saveModel(join(directory, name), model, { tokenizer });
      releaseModel(model);
    }
    const scoring = await rewardModelFrom(join(directory, 'other'), backend, 5);
    await mkdir(join(directory, 'judge'));
    await saveModel(join(directory, 'judge'), scoring, { tokenizer });
    releaseModel(scoring);
    const rows = Array.from({ length: 12 }, (_, i) => ({ prompt: `How much is ${i}?` }));
    const lines = (answers: boolean): string =>
      rows.map((row) => `${JSON.stringify(answers ? { ...row, answer: 'Two.' } : row)}\n`).join('');
    await writeFile(join(directory, 'answered.jsonl'), lines(true));
    await writeFile(join(directory, 'open.jsonl'), lines(false));
  });

  afterAll(async () => {
    await backend.dispose();
    await rm(directory, { recursive: true });
  });

  const input = (name: string, place = name): StageInput => ({ name, directory: join(directory, place) });

  async function compared(
    data: string,
    inputs: Record<string, StageInput[]>,
    more: { prompts?: string; againstVariant?: string } = {},
  ): Promise<ResultRow[]> {
    const [of, against, judge] = ['of', 'against', 'judge'].map((key) => inputs[key]?.map(({ name }) => name));
    const written = {
      of,
      against: against?.[0],
      judge: judge?.[0],
      tasks: [`winRate:${data}`],
      maxNewTokens: 6,
      ...more,
    };
    const config = compareStage.schema.parse(JSON.parse(JSON.stringify(written)));
    const run = { backend, seed: 1, directory, baseDirectory: directory, inputs, log: () => {} };
    const state = await compareStage.open(config, run);
    for await (const _ of compareStage.run(config, state, run));
    items = state.items;
    return state.rows;
  }

  /** Of the last comparison. */
  let items: ItemRow[];

  test('lets the models behind the opponent play it, by the answers and by the judge', async () => {
    const of = ['before', 'opponent', 'other'].map((name) => input(name));
    const rows = await compared('answered.jsonl', { of, against: [input('opponent')], judge: [input('judge')] });
    expect(rows.map(({ stage, against, metrics }) => [stage, against, Object.keys(metrics).length])).toEqual([
      ['before', undefined, 0],
      ['opponent', undefined, 0],
      ['other', 'opponent', 6],
    ]);
    const metrics = rows[2]!.metrics;
    expect(metrics['answered.jsonl/winRate']).toBe(0.5);
    expect(metrics['answered.jsonl/modelWins']! + metrics['answered.jsonl/modelLosses']!).toBe(1);
  });

  test('shows samples of every model with the reward that the judge gives them', async () => {
    const of = ['opponent', 'other'].map((name) => input(name));
    const inputs = { of, against: [input('opponent')] };
    const prompts = { prompts: 'answered.jsonl' };
    const judged = await compared('answered.jsonl', { ...inputs, judge: [input('judge')] }, prompts);
    const rewards = judged.map(({ samples }) => samples.map(({ reward }) => reward!));
    expect(rewards.flat().filter(Number.isFinite)).toHaveLength(12);
    expect(rewards[0]).not.toEqual(rewards[1]);
    const unjudged = await compared('answered.jsonl', inputs, prompts);
    expect(unjudged.map(({ samples }) => samples)).toEqual(
      judged.map(({ samples }) => samples.map(({ reward, ...sample }) => sample)),
    );
  });

  test('finds equal models equal on every prompt', async () => {
    const of = [input('opponent'), input('copy', 'opponent')];
    const [, copy] = await compared('open.jsonl', { of, against: [input('opponent')], judge: [input('judge')] });
    expect(copy!.metrics).toEqual({
      'open.jsonl/modelWinRate': 0.5,
      'open.jsonl/modelWins': 0,
      'open.jsonl/modelLosses': 0,
    });
  });

  test('plays the opponent of the same variant and seed', async () => {
    const seeded = (name: string, place: string, variant: string, seed: number): StageInput => ({
      ...input(name, place),
      variant,
      seed,
    });
    const against = [
      seeded('sft', 'opponent', 'pre', 1),
      seeded('sft', 'opponent', 'pre', 2),
      seeded('sft', 'other', 'mix', 1),
      seeded('sft', 'before', 'mix', 2),
    ];
    // Each plays the model that it is a copy of, and so ties, if the right opponent is found.
    const of = [...against, ...against.map((opponent) => ({ ...opponent, name: 'ppo' }))];
    const rows = await compared('open.jsonl', { of, against, judge: [input('judge')] });
    for (const { metrics } of rows.slice(4)) expect(metrics['open.jsonl/modelWinRate']).toBe(0.5);
    for (const { metrics } of rows.slice(4)) expect(metrics['open.jsonl/modelWins']).toBe(0);
  });

  test('lets every variant play one of them after the same stage, with the same seed', async () => {
    const of = ['sft', 'ppo'].flatMap((name) =>
      [1, 2].flatMap((seed) =>
        ['pre', 'mix'].map((variant) => ({ ...input(name, variant === 'pre' ? 'opponent' : 'other'), variant, seed })),
      ),
    );
    // Of seed 2, both variants have the same model.
    const models = of.map((model) => (model.seed === 2 ? { ...model, directory: join(directory, 'other') } : model));
    const rows = await compared('open.jsonl', { of: models, judge: [input('judge')] }, { againstVariant: 'pre' });
    expect(rows.every(({ againstVariant }) => againstVariant === 'pre')).toBe(true);
    const decided = ({ metrics }: ResultRow): number =>
      metrics['open.jsonl against pre/modelWins']! + metrics['open.jsonl against pre/modelLosses']!;
    for (const row of rows) {
      const expected = row.variant === 'mix' && row.seed === 1 ? 1 : 0;
      expect(decided(row), `${row.stage} ${row.variant} ${row.seed}`).toBeCloseTo(expected, 12);
      const key = 'open.jsonl against pre/modelWinRate';
      const isOfRow = ({ stage, variant, seed, metric }: ItemRow) =>
        stage === row.stage && variant === row.variant && seed === row.seed && metric === key;
      const scores = items.filter(isOfRow).map(({ score }) => score!);
      expect(scores).toHaveLength(12);
      expect(scores.reduce((sum, score) => sum + score, 0) / 12).toBeCloseTo(row.metrics[key]!, 12);
    }
  });

  test('says before any work what is missing', async () => {
    const of = [input('opponent'), input('other')];
    await expect(compared('open.jsonl', { of })).rejects.toThrow('`winRate:open.jsonl` needs an opponent');
    await expect(compared('open.jsonl', { of, against: [input('opponent')] })).rejects.toThrow('and no judge');
  });
});
