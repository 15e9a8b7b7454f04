import { appendFile, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { readItems, writeItems } from '../../src/runs/items.ts';

let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'mixtune-items-'));
  await mkdir(join(directory, 'final'));
});

afterEach(() => rm(directory, { recursive: true }));

const own = { stage: 'measured', variant: 'mix', seed: 2 };
const item = { task: 'exactMatch:town/questions', metric: 'town/questions/exactMatch', item: 0 };

it('come back as they were written, with the model that each is of', async () => {
  const compared = { ...item, stage: 'sft', seed: 1, correct: true, score: 1 };
  const text = {
    task: 'perplexity:a.txt',
    metric: 'a.txt/loss',
    item: 3,
    score: Number.NaN,
    weight: 12,
    logProb: -8.5,
  };
  await writeItems(join(directory, 'final'), [compared, text]);
  expect(await readItems(directory, own)).toEqual([compared, { ...text, ...own }]);
});

it('of a run without any are none', async () => {
  expect(await readItems(directory, own)).toEqual([]);
});

it('of another form are refused by their line', async () => {
  await writeItems(join(directory, 'final'), [item, item]);
  await appendFile(join(directory, 'final/items.jsonl'), '{"task":"exactMatch:town/questions"}\n');
  await expect(readItems(directory, own)).rejects.toThrow(/items\.jsonl, line 3: is no measured item/);
});
