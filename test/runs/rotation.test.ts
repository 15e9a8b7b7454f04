import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { noProgress } from '../../src/runs/progress.ts';
import { removeOldStates, removeStates, saveState } from '../../src/runs/states.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mixtune-rotation-'));
  for (const step of [1, 2, 3, 4, 5]) {
    const details = { progress: { ...noProgress, step }, engine: { backend: 'portable', precision: 'f64' } };
    await saveState(folder, details, (directory) => writeFile(join(directory, 'weights'), `${step}`));
  }
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const left = async () => (await readdir(folder)).sort().map((name) => Number(name.replace('state-', '')));

it('the two newest states are kept', async () => {
  await removeOldStates(folder, noProgress);
  expect(await left()).toEqual([4, 5]);
});

it('and the best, however old it is', async () => {
  await removeOldStates(folder, { ...noProgress, best: { value: 1, step: 2 } });
  expect(await left()).toEqual([2, 4, 5]);
});

it('none is kept beside a result', async () => {
  await removeStates(folder);
  expect(await left()).toEqual([]);
});
