import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { budgetSentences, budgetTable } from '../../src/report/budgets.ts';
import { html } from '../../src/report/html.ts';
import { sweepSections, sweepSentences } from '../../src/report/sweeps.ts';
import { type PipelineFolder, readPipelineFolder } from '../../src/runs/pipeline-folder.ts';
import { writePlan } from '../../src/runs/plan-file.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mixtune-sweeps-'));
});
afterEach(() => rm(folder, { recursive: true }));

const variants = ['pre', 'post'];
const rates = [0.001, 0.002, 0.004, 0.008];
/** Final losses by rate and seed; nothing where training diverged. */
const ends = {
  pre: [
    [2, 2.2],
    [1.5, 1.7],
    [1, 1.1],
    [1.05, 1.1],
  ],
  post: [
    [1, 1],
    [0.5, 0.7],
    [3, 3],
    [undefined, 2],
  ],
};

const budget = { steps: 50, tokens: 1000, trainedTokens: 900, flops: 1e9, batches: 'a'.repeat(64) };

async function writeRun(directory: string, loss: number | undefined, spent: object = budget): Promise<void> {
  const last =
    loss === undefined
      ? { type: 'failed', step: 9, seconds: 1, diverged: true }
      : { type: 'done', step: 50, seconds: 2, budget: spent };
  const records = [
    { type: 'eval', step: 0, loss: 6 },
    ...(loss === undefined ? [] : [{ type: 'eval', step: 50, loss }]),
    last,
  ];
  await mkdir(join(folder, directory), { recursive: true });
  await writeFile(
    join(folder, directory, 'metrics.jsonl'),
    records.map((record) => `${JSON.stringify(record)}\n`).join(''),
  );
  if (loss !== undefined) await writeFile(join(folder, directory, 'manifest.json'), '{"version":1,"files":{}}');
}

async function sampleFolder(): Promise<PipelineFolder> {
  const sweeps = [];
  const nodes = [];
  for (const variant of ['pre', 'post'] as const) {
    const trials = rates.flatMap((lr, i) =>
      [1, 2].map((seed) => {
        const id = `pretrain/${variant}/sweep/lr-${lr}/seed-${seed}`;
        return { id, directory: id, seed, values: { lr }, end: ends[variant][i]![seed - 1] };
      }),
    );
    for (const { directory, end } of trials) await writeRun(directory, end);
    const chosen = { lr: variant === 'pre' ? 0.004 : 0.002 };
    const rule = { metric: 'loss', better: 'lower' as const, edge: 'error' as const, budget: { steps: 50 } };
    sweeps.push({ id: `pretrain/${variant}/sweep`, stage: 'pretrain', variant, ...rule, trials, chosen });
    const id = `pretrain/${variant}/seed-1`;
    nodes.push({ id, stage: 'pretrain', run: 'pretrain', variant, seed: 1, directory: id });
    await writeRun(id, 1, { ...budget, steps: variant === 'pre' ? 50 : 60 });
  }
  await writePlan(folder, { pipeline: 'demo', nodes, sweeps });
  return readPipelineFolder(folder);
}

const textOf = (fragment: unknown) =>
  String(html`${fragment as string}`)
    .replace(/<script[\s\S]*?<\/script>|<svg[\s\S]*?<\/svg>/g, '')
    .replace(/<[^>]*>/g, ' ')
    .replace(/[\s\u00a0]+/g, ' ');

it('draws the metric against the values that were tried, and tells what was chosen, tolerated, lost and spent', async () => {
  const { sweeps } = await sampleFolder();
  expect(sweepSentences(sweeps)).toEqual(['The sweep of pretrain chose lr 0.004 for pre, lr 0.002 for post.']);
  const page = String(html`${sweepSections(sweeps, variants)}`);
  const { stops } = JSON.parse(/json">(.*?)<\/script>/s.exec(page)![1]!);
  expect(stops.map(([, value, found]: [number, string, string[]]) => [value, found])).toEqual([
    ['0.001', ['2.10', '1.00']],
    ['0.002', ['1.60', '0.600']],
    ['0.004', ['1.05', '3.00']],
    ['0.008 ×', ['1.08', 'not a number']],
  ]);
  const text = textOf(sweepSections(sweeps, variants));
  // 2 % of 6 − 1.05 is 0.099, and of 6 − 0.6 it is 0.108.
  expect(text).toContain('pretrain/pre/sweep lr 0.004 1.05 0.004 to 0.008 none 8 400 8,000 16.0 s');
  expect(text).toContain('pretrain/post/sweep lr 0.002 0.600 0.002 lr 0.008 (1 of 2) 8 350 7,000 15.0 s');
});

it('states where the budgets of variants differ, and what each stage has spent', async () => {
  const { nodes } = await sampleFolder();
  expect(budgetSentences(nodes)).toEqual(['Budgets differ: pretrain, pre and post: 50 and 60 steps (seed 1).']);
  expect(textOf(budgetTable(nodes))).toContain('pretrain/post 1 60 – 1,000 900 1.00e9 2.0 s aaaaaaaa');
  expect(budgetTable(nodes.map(({ budget: _, ...node }) => node))).toBeUndefined();
});
