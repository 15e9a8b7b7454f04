import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { counter, records } from './command.ts';

let folder: string;
let out: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mixtune-sweep-'));
  out = join(folder, 'checkpoints', 'demo');
});

afterEach(() => rm(folder, { recursive: true, force: true }));

interface Summary {
  nodes: { id: string; status: string; key?: string; reason?: string }[];
  sweeps: { id: string; trials: { id: string }[]; chosen?: Record<string, unknown>; problem?: string }[];
}

async function run(text: string, ...flags: string[]) {
  await writeFile(join(folder, 'demo.yaml'), text);
  const ended = await counter(folder, 'run', 'demo.yaml', '--json', ...flags);
  return { ...ended, summary: (ended.stdout ? JSON.parse(ended.stdout) : undefined) as Summary };
}

const statuses = ({ nodes }: Summary) => Object.fromEntries(nodes.map(({ id, status }) => [id, status]));
const chosen = ({ sweeps }: Summary) => Object.fromEntries(sweeps.map(({ id, chosen }) => [id, chosen]));
const config = (node: string) => readFile(join(out, node, 'config.yaml'), 'utf8');

const swept = `name: demo
seeds: [1, 2]
variants:
  a: { train: { optimum: 2 } }
  b: { train: { optimum: 5, divergeAbove: 6 } }
stages:
  train:
    run: count
    steps: 6
    sweep:
      values: { scale: [1, 2, 4, 8] }
      budget: { steps: 2 }
      seeds: [11, 12]
      metric: loss
  after: { run: count, from: train, steps: 2 }
  all: { run: gather, of: [train, after] }
`;

const opened = async (node: string) =>
  (await readFile(join(out, node, 'opened.txt'), 'utf8')).trim().split('\n').length;

describe('a sweep', () => {
  it('tries the values for each variant by itself, and the stage runs with the best', async () => {
    const { status, stderr, summary } = await run(swept, '--jobs', '3');
    expect(stderr).toContain('train/a/sweep: chose scale 2');
    expect(status).toBe(0);
    expect(chosen(summary)).toEqual({ 'train/a/sweep': { scale: 2 }, 'train/b/sweep': { scale: 4 } });
    expect(statuses(summary)).toEqual({
      'train/a/seed-1': 'done',
      'train/a/seed-2': 'done',
      'train/b/seed-1': 'done',
      'train/b/seed-2': 'done',
      'after/a/seed-1': 'done',
      'after/a/seed-2': 'done',
      'after/b/seed-1': 'done',
      'after/b/seed-2': 'done',
      'all/shared/seed-1': 'done',
    });
    expect(await config('train/b/seed-2')).toMatch(
      /steps: 6 # demo.yaml:9\nscale: 4 # chosen by the sweep, demo.yaml:11/,
    );
    expect(await config('train/b/sweep/scale-8/seed-11')).toMatch(
      /steps: 2 # demo.yaml:12\nscale: 8 # tried by the sweep/,
    );
    expect((await readdir(join(out, 'train/a/sweep'))).sort()).toEqual(['scale-1', 'scale-2', 'scale-4', 'scale-8']);
    expect((await records(join(out, 'train/b/sweep/scale-8/seed-12'))).at(-1)).toMatchObject({
      type: 'failed',
      diverged: true,
    });
    expect(existsSync(join(out, 'report/index.html'))).toBe(true);
  });

  it('is not run twice, and what it decided for has the key of a stage that was given those values', async () => {
    const first = await run(swept);
    const again = await run(swept);
    expect(again.status).toBe(0);
    expect(new Set(Object.values(statuses(again.summary)))).toEqual(new Set(['finished']));
    expect(await opened('train/b/sweep/scale-8/seed-11')).toBe(1);
    const written = swept
      .replace(/ {4}sweep:\n( {6}.*\n)*/, '')
      .replace('optimum: 2', 'optimum: 2, scale: 2')
      .replace('optimum: 5', 'optimum: 5, scale: 4');
    const plain = await run(written, '--dry-run');
    const keys = ({ nodes }: Summary) => nodes.map(({ id, key }) => [id, key]);
    expect(keys(plain.summary)).toEqual(keys(first.summary));
    expect(new Set(Object.values(statuses(plain.summary)))).toEqual(new Set(['finished']));
  });

  it('runs no more than the new trials where other values are tried and the same ones win', async () => {
    await run(swept);
    const { summary } = await run(swept.replace('[1, 2, 4, 8]', '[0.5, 1, 2, 4, 8, 16]'));
    expect(new Set(Object.values(statuses(summary)))).toEqual(new Set(['finished']));
    expect(existsSync(join(out, 'train/a/sweep/scale-16/seed-11/manifest.json'))).toBe(true);
    expect(await opened('train/a/sweep/scale-2/seed-11')).toBe(1);
  });

  it('shows what waits for it with --dry-run, and what has been tried', async () => {
    const { summary } = await run(swept, '--dry-run');
    expect(statuses(summary)).toMatchObject({ 'train/a/seed-1': 'undecided', 'all/shared/seed-1': 'undecided' });
    expect(summary.nodes.every(({ key }) => key === undefined)).toBe(true);
    const inWords = await counter(folder, 'run', 'demo.yaml', '--dry-run');
    expect(inWords.stdout).toMatch(/train\/a\/sweep +8 × count +8 to run/);
    expect(inWords.stdout).toMatch(/train\/b\/seed-2 +count +waits for train\/b\/sweep/);
    expect(inWords.stdout).toMatch(/after\/b\/seed-2 +count +waits for train\/b\/sweep +train\/b\/seed-2/);
    expect(existsSync(out)).toBe(false);
    await run(swept, '--only', 'train');
    const later = await counter(folder, 'run', 'demo.yaml', '--dry-run');
    expect(later.stdout).toMatch(/train\/a\/sweep +8 × count +chose scale 2/);
    expect(later.stdout).toMatch(/after\/b\/seed-2 +count +to run +train\/b\/seed-2/);
  });

  it('belongs to its stage where stages are selected', async () => {
    const early = await run(swept, '--only', 'after');
    expect(early.status).toBe(2);
    expect(early.stderr).toContain('train/a/seed-1: is read by a selected stage, but is not finished');
    const { status, summary } = await run(swept, '--only', 'train');
    expect(status).toBe(0);
    expect(statuses(summary)).toMatchObject({ 'train/a/seed-1': 'done', 'after/a/seed-1': 'unselected' });
    expect(statuses((await run(swept, '--start-at', 'after')).summary)).toMatchObject({ 'after/b/seed-2': 'done' });
  });

  it('reads in a later stage the models of its seeds, or those of the pipeline in turn', async () => {
    const text = `name: demo
seeds: [1, 2]
stages:
  first: { run: count }
  second:
    run: count
    from: first
    optimum: 2
    sweep: { values: { scale: [1, 2, 4] }, seeds: [2, 7], metric: loss }
`;
    expect((await run(text)).status).toBe(0);
    const reads = async (seed: number) => {
      const job = JSON.parse(await readFile(join(out, `second/shared/sweep/scale-1/seed-${seed}/node.json`), 'utf8'));
      return job.inputs.from[0].seed;
    };
    expect([await reads(2), await reads(7)]).toEqual([2, 2]);
  });

  it('of a stage after another waits for what that decides', async () => {
    const text = swept.replace(
      'after: { run: count, from: train, steps: 2 }',
      'after: { run: count, from: train, optimum: 3, sweep: { values: { scale: [1, 3, 9] }, metric: loss } }',
    );
    const { summary } = await run(text, '--jobs', '2');
    expect(chosen(summary)).toMatchObject({ 'after/a/sweep': { scale: 3 }, 'after/b/sweep': { scale: 3 } });
    expect(statuses(summary)).toMatchObject({ 'all/shared/seed-1': 'done' });
  });
});

describe('a sweep that decides nothing', () => {
  it('at the edge of what was tried is an error that says where to go on, and holds up no other variant', async () => {
    const text = swept.replace('optimum: 2', 'optimum: 20');
    const { status, stderr, summary } = await run(text);
    expect(status).toBe(1);
    expect(stderr).toMatch(
      /train\/a\/sweep: failed\n {2}\| the best scale is 8, the largest that was tried \(loss 12\.00\)\n {2}\| → hint: extend the values of scale upwards, or set edge: accept/,
    );
    expect(statuses(summary)).toMatchObject({
      'train/a/seed-1': 'skipped',
      'after/a/seed-1': 'skipped',
      'all/shared/seed-1': 'skipped',
      'after/b/seed-1': 'done',
    });
    expect(summary.nodes.find(({ id }) => id === 'all/shared/seed-1')?.reason).toBe('train/a/sweep failed');
    const again = await run(text);
    expect([again.status, again.stderr]).toEqual([1, expect.stringContaining('the best scale is 8')]);
    const accepted = await run(text.replace('metric: loss', 'metric: loss\n      edge: accept'));
    expect(accepted.status).toBe(0);
    expect(chosen(accepted.summary)['train/a/sweep']).toEqual({ scale: 8 });
  });

  it('with nothing but failures is an error', async () => {
    const { status, stderr } = await run(swept.replace('divergeAbove: 6', 'divergeAbove: 0'));
    expect(status).toBe(1);
    expect(stderr).toContain('none of the values that were tried is usable');
  });

  it('because a trial broke is no decision, and the next run tries that one again', async () => {
    const broken = await run(swept.replace('budget: { steps: 2 }', 'budget: { steps: 2, requestAt: 2 }'));
    expect(broken.status).toBe(1);
    expect(broken.summary.nodes[0]).toMatchObject({ status: 'skipped', reason: 'train/a/sweep is not decided' });
    expect(await opened('train/a/sweep/scale-1/seed-11')).toBe(1);
    await run(swept.replace('budget: { steps: 2 }', 'budget: { steps: 2, requestAt: 2 }'), '--only', 'train');
    expect(await opened('train/a/sweep/scale-1/seed-11')).toBe(2);
  });
});

describe('what is wrong with a sweep', () => {
  const problems = async (sweep: string, stage = 'count') =>
    (await run(`name: demo\nstages:\n  train: { run: ${stage}, steps: 3, sweep: ${sweep} }\n`)).stderr;

  it.each([
    ['{ values: { scale: [1, 2, 3] } }', 'sweep.metric: is missing; expected text'],
    [
      '{ values: { scale: [1, 2, 3] }, metric: los }',
      '`count` measures no `los` on held-out rows\n           → hint: did you mean `loss`?',
    ],
    ['{ values: { scale: [1, 2, 3] }, metric: endRate }', '`endRate` has no better direction'],
    ['{ values: { scael: [1, 2, 3] }, metric: loss }', 'sweep.values.scael: unknown key'],
    ['{ values: { scale: [1, high, 3] }, metric: loss }', 'sweep.values.scale: found "high", expected a number'],
    ['{ values: { scale: [] }, metric: loss }', 'no value leaves nothing to choose from'],
    ['{ values: { scale: [1] }, metric: loss }', 'a single value leaves nothing to choose from'],
    ['{ values: { scale: [1, 2] }, metric: loss }', 'whichever of two values is chosen is at the edge'],
    ['{ values: { scale: [1, 2, 1] }, metric: loss }', 'a value appears twice'],
    ['{ values: {}, metric: loss }', 'there is no key to try values of'],
    ['{ values: { steps: [1, 2, 3] }, metric: loss }', 'train.steps: is chosen by the sweep of this stage'],
    ['{ values: { scale: [1, 2, 3] }, budget: { stpes: 1 }, metric: loss }', 'sweep.budget.stpes: unknown key'],
    ['{ values: { scale: [1, 2, 3] }, budget: { scale: 1 }, metric: loss }', 'its values are chosen by the sweep'],
    ['{ values: { scale: [1, 2, 3] }, metric: loss, direction: up }', 'sweep.direction: unknown key'],
  ])('%s', async (sweep, message) => {
    expect(await problems(sweep)).toContain(message);
    expect(existsSync(out)).toBe(false);
  });

  it('is a stage that measures nothing', async () => {
    const text =
      'name: demo\nstages:\n  a: { run: count }\n  b: { run: gather, of: [a], sweep: { values: { x: [1, 2, 3] }, metric: loss } }\n';
    expect((await run(text)).stderr).toContain('`gather` measures nothing on held-out rows that could decide');
  });
});
