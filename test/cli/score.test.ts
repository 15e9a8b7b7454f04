import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { saveModel } from '../../src/checkpoint/load-model.ts';
import { loadRewardModel } from '../../src/checkpoint/reward-model.ts';
import { initialiseModel } from '../../src/model/initialise.ts';
import { presetConfig } from '../../src/model/presets.ts';
import { PortableBackend } from '../../src/tensor/backends/portable.ts';
import { trainTokenizer } from '../../src/tokenizer/train.ts';
import { rewardScores } from '../../src/training/reward.ts';
import { mixtune } from '../pipeline/command.ts';

let folder: string;
const questions = ['Where is it?', 'Who is there?', 'What is that?'];
const tokenizer = trainTokenizer([questions.join('\n')], { vocabSize: 290 });
const backend = new PortableBackend('f32');

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mixtune-score-'));
  const config = { ...presetConfig('1m'), vocabSize: tokenizer.vocabSize };
  for (const [name, shape] of Object.entries({ reward: { ...config, head: 'score' as const }, language: config })) {
    await mkdir(join(folder, name));
    const model = await initialiseModel(shape, backend, 1);
    await saveModel(join(folder, name), model, { tokenizer, ...(name === 'reward' ? { rewardOffset: 0.75 } : {}) });
  }
  const write = (name: string, rows: object[]) =>
    writeFile(join(folder, name), rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
  await write(
    'pairs.jsonl',
    questions.map((prompt) => ({ prompt, chosen: 'It is here.', rejected: 'No.' })),
  );
  await write(
    'alpaca.jsonl',
    questions.map((instruction) => ({ instruction, input: '', output: 'It is here.' })),
  );
  await write('broken.jsonl', [
    { prompt: 'Where?', chosen: 'Here.', rejected: 'There.' },
    { prompt: 'Who?', chosen: 'I.' },
  ]);
}, 60_000);

afterAll(() => rm(folder, { recursive: true, force: true }));

const score = (...args: string[]) => mixtune(folder, 'score', ...args, '--backend', 'portable');

it('scores both answers of preference pairs as the model does, offset included', async () => {
  const { status, stdout, stderr } = await score('reward', '--data', 'pairs.jsonl', '--json');
  expect(status, stderr).toBe(0);
  const { rows, measures, reliability } = JSON.parse(stdout);
  const reward = await loadRewardModel(join(folder, 'reward'), backend);
  const texts = questions.map((question) =>
    tokenizer.encode(`<|user|>${question}<|end|><|assistant|>It is here.<|end|>`),
  );
  const expected = await rewardScores(reward, texts);
  expect(reward.offset).toBe(0.75);
  expect(rows).toHaveLength(3);
  for (const [i, { chosen }] of rows.entries()) expect(chosen).toBeCloseTo(expected[i]!, 5);
  expect(measures).toMatchObject({ lengthAccuracy: 1 });
  expect(reliability.reduce((sum: number, { pairs }: { pairs: number }) => sum + pairs, 0)).toBe(3);
}, 60_000);

it('scores the last answer of conversations', async () => {
  const { stdout } = await score('reward', '--data', 'alpaca.jsonl', '--rows', '2', '--json');
  const { rows, mean } = JSON.parse(stdout);
  expect(rows).toHaveLength(2);
  expect(mean).toBeCloseTo((rows[0].reward + rows[1].reward) / 2, 9);
  const shown = await score('reward', '--data', 'alpaca.jsonl', '--rows', '2');
  expect(shown.stdout).toContain(rows[1].reward.toFixed(4));
}, 60_000);

it('says what is wrong with model and data', async () => {
  const language = await score('language', '--data', 'pairs.jsonl');
  expect(language).toMatchObject({ status: 2, stdout: '' });
  expect(language.stderr).toMatch(/is a language model \(LlamaForCausalLM\), which has no score head/);
  const broken = await score('reward', '--data', 'broken.jsonl');
  expect(broken).toMatchObject({ status: 2, stdout: '' });
  expect(broken.stderr).toMatch(/line 2 .*rejected/);
  const evaluated = await mixtune(folder, 'generate', 'reward', '--message', 'Where?', '--backend', 'portable');
  expect(evaluated.status).toBe(2);
  expect(evaluated.stderr).toMatch(/is a reward model/);
}, 60_000);
