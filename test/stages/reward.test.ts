import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { saveModel } from '../../src/checkpoint/load-model.ts';
import { loadRewardModel } from '../../src/checkpoint/reward-model.ts';
import { openDataset } from '../../src/data/dataset.ts';
import { encodePairs } from '../../src/data/preflight.ts';
import type { PreferenceRow } from '../../src/data/rows.ts';
import { initialiseModel } from '../../src/model/initialise.ts';
import { releaseModel } from '../../src/model/model.ts';
import { withPlacement } from '../../src/model/norm.ts';
import { presetConfig } from '../../src/model/presets.ts';
import { exportStage } from '../../src/stages/export.ts';
import { type RewardState, rewardStage } from '../../src/stages/reward.ts';
import { pause, type StageRun, type StepRecord } from '../../src/stages/stage.ts';
import type { Backend } from '../../src/tensor/backends/backend.ts';
import { openBackend } from '../../src/tensor/backends/open.ts';
import { loadTokenizer } from '../../src/tokenizer/open.ts';
import { trainTokenizer } from '../../src/tokenizer/train.ts';
import { rewardScores, scoredText } from '../../src/training/reward.ts';

/** The preferred answer names the thing that is asked for; both are of the same length. */
const things = ['mill', 'well', 'barn', 'pond', 'road', 'gate', 'tree', 'wall'];
const phrasings = ['Where is the', 'Show me the', 'I look for the', 'Who owns the'];
const pairs = phrasings.flatMap((phrasing) =>
  things.flatMap((thing, i) => [
    { prompt: `${phrasing} ${thing}?`, chosen: `The ${thing}.`, rejected: `The ${things[(i + 1) % 8]}.` },
    { prompt: `${phrasing} ${thing}?`, chosen: `The ${thing}.`, rejected: `The ${things[(i + 3) % 8]}.` },
  ]),
);
const sharedData = join(import.meta.dirname, '../../../shared/data');

let directory: string;
let backend: Backend;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'mixtune-reward-'));
  ({ backend } = await openBackend({ precision: 'f32' }));
  const text = pairs.map(({ prompt, chosen, rejected }) => `${prompt} ${chosen} ${rejected}\n`).join('');
  const tokenizer = trainTokenizer([text], { vocabSize: 330 });
  const config = withPlacement({ ...presetConfig('1m'), vocabSize: tokenizer.vocabSize }, 'mix', { postLayers: 1 });
  const model = await initialiseModel(config, backend, 3);
  await mkdir(join(directory, 'start'));
  await saveModel(join(directory, 'start'), model, { tokenizer });
  releaseModel(model);
  await writePairs('pairs.jsonl', pairs);
});

afterAll(async () => {
  await backend.dispose();
  await rm(directory, { recursive: true });
});

const writePairs = (name: string, rows: readonly object[]) =>
  writeFile(join(directory, name), rows.map((row) => `${JSON.stringify(row)}\n`).join(''));

async function opened(options: Record<string, unknown>, messages: string[] = []) {
  const config = rewardStage.schema.parse({ from: 'start', data: 'pairs.jsonl', ...options });
  const inputs = { from: [{ name: 'start', directory: join(directory, 'start') }] };
  const log = (message: string) => void messages.push(message);
  const run: StageRun = { backend, seed: 1, directory, baseDirectory: directory, inputs, log };
  return { config, run, state: await rewardStage.open(config, run) };
}

async function trained(options: Record<string, unknown>) {
  const stage = await opened(options);
  const records: StepRecord[] = [];
  for await (const record of rewardStage.run(stage.config, stage.state, stage.run)) {
    if (record !== pause) records.push(record);
  }
  return { ...stage, records };
}

describe('the reward stage', () => {
  const options = { steps: 80, batchSize: 8, lr: 1e-3, holdOut: 0.25 };
  let stage: Awaited<ReturnType<typeof trained>>;
  let final: string;

  beforeAll(async () => {
    stage = await trained(options);
    final = await mkdtemp(join(directory, 'final-'));
    await rewardStage.finish(stage.config, stage.state, final);
  }, 120_000);
  afterAll(() => rewardStage.close!(stage.state));

  test('learns what is preferred, on a phrasing that it has not seen', async () => {
    const [first, last] = [stage.records[0]!, stage.records.at(-1)!];
    expect(first.loss).toBeGreaterThan(0.4);
    expect(last.loss).toBeLessThan(0.1);
    const measures = await rewardStage.evaluate!(stage.config, stage.state, stage.run);
    expect(measures.accuracy).toBeGreaterThanOrEqual(0.9);
    expect(measures.lengthAccuracy).toBeGreaterThan(0.2);
    expect(measures.lengthAccuracy).toBeLessThan(0.8);
  });

  test('trains the pairs of a prompt together', () => {
    expect(stage.state.comparisons).toHaveLength(24);
    expect(stage.state.comparisons[0]!.pairs).toEqual([
      { better: 0, worse: 1 },
      { better: 0, worse: 2 },
    ]);
  });

  test('saves a model whose rewards of preferred answers are 0 on average, and the same as before', async () => {
    const reward = await loadRewardModel(final, backend);
    const preferred = stage.state.comparisons.map(({ texts }) => texts[0]!);
    const rewards = await rewardScores(reward, preferred);
    expect(Math.abs(rewards.reduce((a, b) => a + b, 0) / rewards.length)).toBeLessThan(1e-5);
    const before = await rewardScores({ model: stage.state.optimizer.model, offset: reward.offset }, preferred);
    expect(rewards).toEqual(before);
    releaseModel(reward.model);
  });

  test('saves the reliability of held-out pairs', async () => {
    const table = JSON.parse(await readFile(join(final, 'reliability.json'), 'utf8'));
    const held = table.reduce((sum: number, { pairs }: { pairs: number }) => sum + pairs, 0);
    expect(held).toBe(stage.state.heldOut.length);
  });

  test('makes what export writes in another type, offset and head included', async () => {
    const config = exportStage.schema.parse({ from: 'final', dtype: 'bf16' });
    const inputs = { from: [{ name: 'final', directory: final }] };
    const exported = await mkdtemp(join(directory, 'exported-'));
    await exportStage.finish(config, await exportStage.open(config, { ...stage.run, inputs }), exported);
    const [before, after] = [await loadRewardModel(final, backend), await loadRewardModel(exported, backend)];
    expect(after.offset).toBe(before.offset);
    const text = stage.state.comparisons[0]!.texts.slice(0, 1);
    const [[a], [b]] = [await rewardScores(before, text), await rewardScores(after, text)];
    expect(Math.abs(a! - b!)).toBeLessThan(0.1);
    for (const { model } of [before, after]) releaseModel(model);
  });
});

describe('data that a reward model must not be trained on unsaid', () => {
  const logOf = async (rows: readonly object[], options = {}): Promise<string> => {
    await writePairs('other.jsonl', rows);
    const messages: string[] = [];
    const { state } = await opened({ data: 'other.jsonl', ...options }, messages);
    rewardStage.close!(state);
    return messages.join('\n');
  };

  test('length that explains the preferences is told', async () => {
    const longWins = pairs.map((pair) => ({ ...pair, chosen: `${pair.chosen} Good day, and thank you for asking.` }));
    expect(await logOf(longWins)).toMatch(/in 100 % of the pairs the longer answer is preferred/);
    expect(await logOf(pairs)).not.toMatch(/longer/);
  });

  test('pairs that do not differ are an error', async () => {
    await expect(logOf([{ prompt: 'Where?', chosen: 'There.', rejected: 'There.' }])).rejects.toThrow(/the same text/);
  });

  test('a reward model is not trained again as if it were a language model', async () => {
    const { config, run } = await opened({});
    const folder = await mkdtemp(join(directory, 'reward-'));
    const { state } = await opened({});
    await rewardStage.finish(config, state, folder);
    rewardStage.close!(state);
    const inputs = { from: [{ name: 'reward', directory: folder }] };
    await expect(rewardStage.open(config, { ...run, inputs })).rejects.toThrow(/is a reward model/);
  });
});

test('real pairs are read, scored and trained on', async (context) => {
  const file = join(sharedData, 'preference-sharegpt-sample.json');
  const dataset = await openDataset(file, 'preference').catch(() => undefined);
  if (!dataset) return context.skip('../shared/data is not here');
  const rows: readonly PreferenceRow[] = dataset.rows.slice(0, 16);
  const tokenizer = await loadTokenizer(join(directory, 'start'));
  const { pairs } = encodePairs(rows, tokenizer, { maxLength: 256, onTooLong: 'truncate' });
  expect(pairs.every(({ chosen }) => scoredText(chosen).length <= 256)).toBe(true);
  const stage: { state: RewardState; records: StepRecord[] } = await trained({
    data: file,
    maxLength: 128,
    onTooLong: 'truncate',
    steps: 2,
    batchSize: 2,
  });
  expect(stage.records.every(({ loss }) => Number.isFinite(loss))).toBe(true);
  rewardStage.close!(stage.state);
}, 60_000);
