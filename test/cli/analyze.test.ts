import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { analyze } from '../../src/analysis/analyze.ts';
import { saveModel } from '../../src/checkpoint/load-model.ts';
import { writeModelDirectory } from '../../src/checkpoint/model-directory.ts';
import { initialiseModel } from '../../src/model/initialise.ts';
import type { Model } from '../../src/model/model.ts';
import { tensorSource } from '../../src/model/weights.ts';
import { PortableBackend } from '../../src/tensor/backends/portable.ts';
import { trainTokenizer } from '../../src/tokenizer/train.ts';
import { mix } from '../checkpoint/made-models.ts';
import { mixtune } from '../pipeline/command.ts';

let folder: string;
let model: Model;
const backend = new PortableBackend('f32');
const tokenizer = trainTokenizer(['the cat sat on the mat'], { vocabSize: 270 });
const config = { ...mix, vocabSize: tokenizer.vocabSize, maxLength: 16 };
const rows = [
  [1, 2, 3, 4],
  [7, 5, 3],
];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mixtune-analyze-'));
  const make = (name: string) => mkdir(join(folder, name));
  await Promise.all(['model', 'bare', 'other', 'smaller', 'reward'].map(make));
  model = await initialiseModel(config, backend, 1);
  await saveModel(join(folder, 'model'), model, { tokenizer });
  const read = tensorSource(config, model.parameters);
  await writeModelDirectory(join(folder, 'bare'), { config, read, dtype: 'f32' });
  await saveModel(join(folder, 'other'), await initialiseModel(config, backend, 2), { tokenizer });
  const smaller = await initialiseModel({ ...config, intermediateSize: 8 }, backend, 1);
  await saveModel(join(folder, 'smaller'), smaller, { tokenizer });
  const reward = await initialiseModel({ ...config, head: 'score' }, backend, 1);
  await saveModel(join(folder, 'reward'), reward, { tokenizer });
  await writeFile(join(folder, 'rows.json'), JSON.stringify(rows));
  await writeFile(join(folder, 'words.txt'), 'the cat sat on the mat. '.repeat(20));
  await writeFile(join(folder, 'empty.txt'), '');
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const run = (...args: string[]) => mixtune(folder, 'analyze', ...args, '--backend', 'portable');

it('analyses rows of token ids with a model that has no tokenizer', async () => {
  const { status, stdout, stderr } = await run('bare', '--ids', 'rows.json', '--json');
  expect(status, stderr).toBe(0);
  const sequences = rows.map((ids) => ({
    tokens: Int32Array.from(ids),
    trained: new Uint8Array(ids.length).fill(1, 1),
  }));
  expect(JSON.parse(stdout)).toEqual(await analyze(model, sequences));
});

it('prints a table that fits a terminal, a line for each layer', async () => {
  const { status, stdout, stderr } = await run('model', '--text', 'words.txt', '--window', '8', '--windows', '3');
  expect(status, stderr).toBe(0);
  expect(stdout).toMatch(/^mix: Post-LN in the first 2 of 3 layers[^\n]*\nloss 5\.\d+ nats per token over 24 tokens\n/);
  expect(stdout).toMatch(/\nlayer +stream rms +angle +rank +kurtosis +attention\nembedding( +\d\S*){3}\n/);
  expect(stdout).toMatch(/\nlayer +removal loss +exchange loss +exit loss +gradient norm\nembedding( +\d\S*){2}\n/);
  for (const layer of ['0 Post-LN', '1 Post-LN', '2 Pre-LN']) {
    expect(stdout).toMatch(new RegExp(`^${layer}( +\\d\\S*){5}$`, 'm'));
    expect(stdout).toMatch(new RegExp(`^${layer}( +\\d\\S*){${layer.startsWith('2') ? 3 : 4}}$`, 'm'));
  }
  expect(stdout).toMatch(
    /\nout +block +loss +one more +loss\n0( +\d\S*){2}\n1 +[012] +\d\S* +[012] +\d\S*\n2 +[01] to [12] /,
  );
  expect(Math.max(...stdout.split('\n').map((line) => line.length))).toBeLessThanOrEqual(100);
});

it('compares the weights with those of a base', async () => {
  const options = ['model', '--ids', 'rows.json', '--json', '--base'];
  const { status, stdout, stderr } = await run(...options, 'other');
  expect(status, stderr).toBe(0);
  const { all, layers, head } = JSON.parse(stdout).updates;
  for (const distance of [all, head, ...layers.map((layer: { q_proj: number }) => layer.q_proj)]) {
    // Independent draws of one size: √2 on average.
    expect(distance).toBeCloseTo(Math.SQRT2, 0);
  }
  const same = JSON.parse((await run(...options, 'model')).stdout).updates;
  expect([same.all, same.embedding, same.layers[2].all]).toEqual([0, 0, 0]);
});

it('leaves as a stage of a pipeline what it prints as a command', async () => {
  const stage = '{ run: analyze, from: ./model, text: words.txt, window: 8, windows: 3, backend: portable }';
  await writeFile(join(folder, 'depth.yaml'), `name: depth\nstages:\n  depth: ${stage}\n`);
  const ended = await mixtune(folder, 'run', 'depth.yaml', '--out', 'run');
  expect(ended.status, ended.stderr).toBe(0);
  const results = await readFile(join(folder, 'run/depth/shared/seed-1/final/results.json'), 'utf8');
  const { stdout } = await run('model', '--text', 'words.txt', '--window', '8', '--windows', '3', '--json');
  expect(JSON.parse(results)).toEqual({ metrics: {}, samples: [], analysis: JSON.parse(stdout) });
});

describe('refuses in one clear sentence', () => {
  const ids = ['bare', '--ids', 'ids.json'];
  const text = ['model', '--text', 'words.txt'];
  it.each([
    ['neither', ['bare'], '', 'give --text or --ids'],
    ['both', [...text, '--ids', 'rows.json'], '', "option '--text <source>' cannot be used with option '--ids <file>'"],
    ['windows of ids', [...ids, '--windows', '3'], '[[1,2]]', "'--windows <number>' cannot be used with"],
    ['no such file', ['bare', '--ids', 'none.json'], '', 'none.json: there is no such file'],
    ['no JSON', ids, '[[1, 2', 'ids.json: is not usable JSON'],
    ['no list', ids, '{"rows": []}', 'ids.json: holds no list'],
    ['an empty list', ids, '[]', 'ids.json: holds an empty list'],
    ['a row of one', ids, '[[1, 2], [3]]', 'ids.json, row 2: a row is a list of at least two token ids'],
    ['an id that is none', ids, '[[1, 999]]', 'row 1: 999 is no token id of the model, whose vocabulary is 0 to'],
    ['half an id', ids, '[[1, 0.5]]', 'row 1: 0.5 is no token id'],
    ['a row too long', ids, JSON.stringify([Array(18).fill(1)]), "17 tokens, but the model's context is 16"],
    [
      'a window too long',
      [...text, '--window', '17'],
      '',
      "--window: 17 tokens, but the model's context is 16\n           → hint: set --window to 16",
    ],
    ['an empty text', ['model', '--text', 'empty.txt'], '', 'empty.txt'],
    ['no tokenizer', ['bare', '--text', 'words.txt'], '', 'tokenizer'],
    [
      'a base of another shape',
      [...text, '--base', 'smaller'],
      '',
      /smaller: its weights cannot be subtracted: \S+gate_up_proj.weight is \[16, \d+\] in the base and is \[\d+, \d+\] in the model/,
    ],
    ['no base', [...text, '--base', 'none'], '', 'none'],
    ['a reward model', ['reward', '--ids', 'rows.json'], '', 'is a reward model'],
  ])('%s', async (_, args, written, message) => {
    await writeFile(join(folder, 'ids.json'), written);
    const { status, stdout, stderr } = await run(...args);
    expect(stderr).toMatch(message);
    expect([status, stdout]).toEqual([2, '']);
    expect(stderr).toContain('1 problem');
  });
});
