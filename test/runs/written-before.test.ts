import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { runNode } from '../../src/pipeline/run-node.ts';
import { writeReport } from '../../src/report/write-report.ts';
import { fileNames } from '../../src/runs/file-names.ts';
import { readJob } from '../../src/runs/node-file.ts';
import { readRecords } from '../../src/runs/records.ts';
import { listRuns, readRun } from '../../src/runs/run.ts';
import { stages } from '../../src/stages/index.ts';

/** What an older version left: `fixtures/make.mjs` says which, and makes it. */
const before = join(import.meta.dirname, 'fixtures', 'before');

let folder: string;
const stopped = () => join(folder, 'checkpoints/sft/fast/seed-1');

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mixtune-before-'));
  await cp(before, folder, { recursive: true });
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (entry.name !== fileNames.job) continue;
    const file = join(entry.parentPath, entry.name);
    await writeFile(file, (await readFile(file, 'utf8')).replaceAll('FOLDER', folder));
  }
});
afterEach(() => rm(folder, { recursive: true, force: true }));

it('a folder of an older version is listed', async () => {
  const runs = await listRuns(join(folder, 'checkpoints'));
  expect(runs.map(({ name, run, status, step }) => [name, run, status, step])).toEqual([
    ['evaluate/slow/seed-1', 'evaluate', 'finished', 1],
    ['sft/fast/seed-1', 'sft', 'stopped', 2],
    ['sft/slow/seed-1', 'sft', 'finished', 4],
  ]);
  expect(runs[2]).toMatchObject({
    config: { lr: 0.001, backend: 'portable' },
    metrics: { 'eval/loss': expect.any(Number) },
  });
});

it('and reported', async () => {
  const page = await readFile(await writeReport(join(folder, 'checkpoints')), 'utf8');
  const text = page.replace(/<[^>]*>/g, ' ').replace(/[\s\u00a0]+/g, ' ');
  expect(text).toContain('before: slow against fast');
  expect(text).toContain('sft/slow/seed-1 finished 4');
  expect(text).toContain('sft/fast/seed-1 stopped 2 of 4');
  expect(text).toContain('evaluate/fast/seed-1 not run');
  expect(text).toMatch(/loss ↓ rows\.jsonl · primary 5\.\d+/);
});

it('and a state of it is gone on from, to the losses of a run that was never stopped', async () => {
  const said: string[] = [];
  const say = (message: string) => void said.push(message);
  const stop = { reason: undefined, isSaveWanted: false };
  const job = await readJob(join(stopped(), fileNames.job));
  const end = await runNode(job, { stages, threads: 1, stop, log: say, warn: say });
  expect(said).toContainEqual(expect.stringMatching(/^continuing from .*state-000002$/));
  expect(end).toMatchObject({ status: 'done', step: 4 });
  expect(await readRun(stopped())).toMatchObject({ status: 'finished', step: 4 });
  const records = await readRecords(join(stopped(), fileNames.records));
  const losses = records.flatMap(({ type, loss }) => (type === 'step' ? [loss] : []));
  const expected: number[] = JSON.parse(await readFile(join(before, 'losses.json'), 'utf8'));
  expect(losses).toEqual(expected.map((loss) => expect.closeTo(loss, 5)));
});
