import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { fileNames } from '../../src/runs/file-names.ts';
import { readResults, writeResults } from '../../src/runs/results.ts';

let folder: string;
let final: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mixtune-results-'));
  final = join(folder, fileNames.final);
  await mkdir(final);
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const own = { stage: 'measured', variant: 'mix', seed: 2 };
const diverged = { 'text/perplexity': Number.POSITIVE_INFINITY, 'text/loss': Number.NaN, 'pairs/accuracy': 0.5 };
const samples = [{ prompt: 'Who?', completion: 'Ada', expected: 'Ada', reward: Number.NEGATIVE_INFINITY }];

it('what was measured on one model is a row of its own run, with numbers that JSON cannot hold', async () => {
  await writeResults(final, { metrics: diverged, samples });
  expect(await readResults(folder, own)).toEqual([{ ...own, metrics: diverged, samples }]);
});

it('what was measured on several is a row for each', async () => {
  const rows = ['pre', 'mix'].map((variant) => ({ stage: 'sft', variant, seed: 1, metrics: diverged, samples: [] }));
  await writeResults(final, { rows });
  expect(await readResults(folder, own)).toEqual(rows);
});

it('a run that measured nothing has none', async () => {
  expect(await readResults(folder, own)).toEqual([]);
});
