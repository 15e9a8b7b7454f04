import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { readTrial } from '../../src/runs/trial.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mixtune-trial-'));
});
afterEach(() => rm(folder, { recursive: true }));

async function trial(records: object[], manifest?: object) {
  await writeFile(join(folder, 'metrics.jsonl'), records.map((record) => `${JSON.stringify(record)}\n`).join(''));
  if (manifest) await writeFile(join(folder, 'manifest.json'), JSON.stringify({ version: 1, files: {}, ...manifest }));
  return readTrial(folder, 'loss');
}

const evaluations = [6, 3, 4].map((loss, i) => ({ type: 'eval', step: 10 * i, loss }));
const steps = (lossAt: (step: number) => number) =>
  Array.from({ length: 60 }, (_, i) => ({ type: 'step', step: i + 1, loss: lossAt(i + 1) }));

it('ends with the evaluation of the state that became the result', async () => {
  expect(await trial(evaluations)).toEqual({ start: 6 });
  expect(await trial(evaluations, {})).toEqual({ start: 6, end: 4, isUnstable: false });
  expect(await trial(evaluations, { best: { step: 10, value: 3 } })).toMatchObject({ end: 3 });
});

it('has no number in the end where training diverged, and none at all where it failed otherwise', async () => {
  const failed = { type: 'failed', step: 12, message: 'the loss of step 13 is NaN' };
  expect(await trial([...evaluations, { ...failed, diverged: true }])).toEqual({ start: 6, end: Number.NaN });
  expect(await trial([...evaluations, failed])).toEqual({ start: 6 });
});

it('is unstable on a plateau at the entropy of the tokens, and after a jump', async () => {
  const start = { type: 'start', step: 0, unigramEntropy: 4 };
  const falls = (step: number) => 6 - step / 12;
  const unstable = async (lossAt: (step: number) => number, first: object = start) =>
    (await trial([first, ...steps(lossAt)], {})).isUnstable;
  expect(await unstable(falls)).toBe(false);
  expect(await unstable((step) => Math.max(4, 6 - step / 4))).toBe(true);
  expect(await unstable((step) => (step < 40 ? falls(step) : 7))).toBe(true);
  expect(await unstable((step) => (step < 40 ? falls(step) : 7), { type: 'start', step: 0 })).toBe(false);
});
