import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { counter, type Ended, letGo, records, startCounter, until, untilStep } from './command.ts';

let folder: string;
let out: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mixtune-run-'));
  out = join(folder, 'checkpoints', 'demo');
});

afterEach(() => rm(folder, { recursive: true, force: true }));

async function run(text: string, ...flags: string[]) {
  await writeFile(join(folder, 'demo.yaml'), text);
  return withSummary(await counter(folder, 'run', 'demo.yaml', '--json', ...flags));
}

const withSummary = (ended: Ended) => ({ ...ended, summary: ended.stdout ? JSON.parse(ended.stdout) : undefined });

const statuses = (summary: { nodes: { id: string; status: string }[] }) =>
  Object.fromEntries(summary.nodes.map(({ id, status }) => [id.replace('/shared/seed-1', ''), status]));

const result = async (node: string) => JSON.parse(await readFile(join(out, node, 'final', 'config.json'), 'utf8'));

const chain = `name: demo
stages:
  first: { run: count, steps: 4, evalEvery: 2, sampleEvery: 4 }
  second: { run: count, from: first, steps: 3, scale: 2 }
`;

describe('a pipeline', () => {
  it('leaves what docs/architecture.md says, and is not run twice', async () => {
    const { status, summary } = await run(chain);
    expect(status).toBe(0);
    expect(statuses(summary)).toEqual({ first: 'done', second: 'done' });
    expect(existsSync(summary.report)).toBe(true);
    expect((await readdir(out)).sort()).toEqual(['first', 'plan.json', 'report', 'second']);
    const plan = JSON.parse(await readFile(join(out, 'plan.json'), 'utf8'));
    expect(plan.arguments).toEqual(['run', 'demo.yaml', '--json']);
    const node = join(out, 'first/shared/seed-1');
    const files = ['config.yaml', 'final', 'log.txt', 'manifest.json', 'metrics.jsonl', 'node.json', 'opened.txt'];
    expect((await readdir(node)).sort()).toEqual(files);
    expect(await readFile(join(node, 'config.yaml'), 'utf8')).toContain('steps: 4 # demo.yaml:3\nscale: 1 # default\n');
    const log = await records(node);
    expect(log.map(({ type, step }) => `${type} ${step}`)).toEqual([
      'start 0',
      'eval 0',
      'step 1',
      'step 2',
      'eval 2',
      'step 3',
      'step 4',
      'eval 4',
      'sample 4',
      'done 4',
    ]);
    expect(log[0]).toMatchObject({ stage: 'first', seed: 1, backend: expect.any(String), time: expect.any(String) });
    expect(log.at(-1)).toMatchObject({
      peakRssBytes: expect.any(Number),
      result: await result('first/shared/seed-1').then(({ sum }) => ({ sum })),
    });

    const again = await run(chain);
    expect(statuses(again.summary)).toEqual({ first: 'finished', second: 'finished' });
    expect((await readFile(join(node, 'opened.txt'), 'utf8')).trim().split('\n')).toHaveLength(1);
  });

  it('is run anew from where it changed, and what was there is kept aside', async () => {
    await run(chain);
    const before = await result('second/shared/seed-1');
    const { summary } = await run(chain, '--set', 'stages.second.scale=5');
    expect(statuses(summary)).toEqual({ first: 'finished', second: 'done' });
    const kept = (await readdir(join(out, 'second/shared'))).filter((name) => name.startsWith('seed-1.old-'));
    expect(kept).toHaveLength(1);
    expect(await result(`second/shared/${kept[0]}`)).toEqual(before);
    expect(await result('second/shared/seed-1')).not.toEqual(before);
  });

  it('runs a finished node again whose files were damaged since', async () => {
    await run(chain);
    await writeFile(join(out, 'first/shared/seed-1/final/config.json'), '{}');
    expect(statuses((await run(chain)).summary)).toEqual({ first: 'done', second: 'finished' });
  });

  it('does not run what was not selected, and refuses to start without what that reads', async () => {
    const refused = await run(chain, '--only', 'second');
    expect(refused.status).toBe(2);
    expect(refused.stderr).toContain('first/shared/seed-1: is read by a selected stage, but is not finished');
    expect(existsSync(out)).toBe(false);

    expect(statuses((await run(chain, '--only', 'first')).summary)).toMatchObject({ first: 'done' });
    expect(existsSync(join(out, 'second'))).toBe(false);
    expect(statuses((await run(chain, '--start-at', 'second')).summary)).toMatchObject({ second: 'done' });
    const unknown = await run(chain, '--start-at', 'secnd');
    expect(unknown.stderr).toContain('did you mean `second`?');
  });

  it('shows its plan and runs nothing with --dry-run', async () => {
    const { status, stdout } = await run(chain, '--dry-run');
    expect(status).toBe(0);
    expect(JSON.parse(stdout).nodes).toMatchObject([
      { id: 'first/shared/seed-1', status: 'new', inputs: [] },
      { id: 'second/shared/seed-1', status: 'new', inputs: ['first/shared/seed-1'] },
    ]);
    const inWords = await counter(folder, 'run', 'demo.yaml', '--dry-run');
    expect([inWords.status, inWords.stdout]).toEqual([
      0,
      expect.stringMatching(/second\/shared\/seed-1 +count +to run/),
    ]);
    expect(existsSync(out)).toBe(false);
  });

  it('runs as many nodes at once as --jobs says', async () => {
    const endless = '{ run: count, steps: 100000, pause: 20 }';
    await writeFile(
      join(folder, 'demo.yaml'),
      `name: demo\nstages:\n  a: ${endless}\n  b: ${endless}\n  c: ${endless}\n`,
    );
    const running = startCounter(folder, 'run', 'demo.yaml', '--jobs', '2');
    await Promise.all([untilStep(join(out, 'a/shared/seed-1'), 1), untilStep(join(out, 'b/shared/seed-1'), 1)]);
    running.child.kill('SIGTERM');
    expect((await running.ended).status).toBe(143);
    // Neither beside the others nor after the stop.
    expect(existsSync(join(out, 'c'))).toBe(false);
  });
});

describe('a node that fails', () => {
  const failing = `name: demo
stages:
  good: { run: count, steps: 3 }
  bad: { run: count, steps: 5, KEY: 2 }
  after: { run: count, from: bad }
  other: { run: count, from: good }
`;

  it('takes only those down that read it, and its error is told', async () => {
    const { status, summary, stderr } = await run(failing.replace('KEY', 'failAt'));
    expect(status).toBe(1);
    expect(statuses(summary)).toEqual({ good: 'done', bad: 'failed', after: 'skipped', other: 'done' });
    expect(stderr).toContain('the counter was told to fail');
    expect((await records(join(out, 'bad/shared/seed-1'))).at(-1)).toMatchObject({
      type: 'failed',
      message: 'the counter was told to fail',
    });
    expect(existsSync(summary.report)).toBe(true);
  });

  it('is left out by a stage that reads many, which runs again once it is there', async () => {
    const gathering = `name: demo
seeds: [1, 2]
variants:
  a: { second: { steps: 2 } }
  b: { second: { steps: 3, KEY: 1 } }
stages:
  first: { run: count, steps: 1 }
  second: { run: count, from: first }
  third: { run: count, from: second, steps: 1 }
  all: { run: gather, of: [first, third] }
`;
    const namesOf = async () => {
      const text = await readFile(join(out, 'all/shared/seed-1/final/rows.json'), 'utf8');
      const rows: { name: string; variant?: string; seed: number }[] = JSON.parse(text);
      return rows.map(({ name, variant, seed }) => [name, variant, seed].join(' '));
    };
    const partial = ['first  1', 'first  2', 'third a 1', 'third a 2'];
    const first = await run(gathering.replace('KEY', 'failAt'));
    expect(first.status).toBe(1);
    expect(first.summary.nodes.at(-1)).toMatchObject({ id: 'all/shared/seed-1', status: 'done' });
    expect(await namesOf()).toEqual(partial);
    expect(first.stderr).toContain('all/shared/seed-1: warning: goes on without third/b/seed-1, third/b/seed-2');
    const again = await run(gathering.replace('KEY', 'failAt'));
    expect(again.summary.nodes.at(-1)).toMatchObject({ id: 'all/shared/seed-1', status: 'finished' });
    const whole = await run(gathering.replace('KEY', 'parts'));
    expect(whole.status).toBe(0);
    expect(whole.summary.nodes.at(-1)).toMatchObject({ id: 'all/shared/seed-1', status: 'done' });
    expect(await namesOf()).toEqual([...partial, 'third b 1', 'third b 2']);
  });

  it('may crash without a word, and goes on from its last state', async () => {
    const crashing =
      'name: demo\nstages:\n  bad: { run: count, steps: 5, dieAt: 4, saveEvery: 2 }\n  after: { run: count, from: bad }\n';
    await writeFile(join(folder, 'demo.yaml'), crashing);
    const first = withSummary(await startCounter(folder, 'run', 'demo.yaml', '--json').ended);
    expect(first.status).toBe(1);
    expect(statuses(first.summary)).toEqual({ bad: 'failed', after: 'skipped' });
    expect(first.stderr).toContain('ended by SIGKILL');
    const second = await run(crashing);
    expect(statuses(second.summary)).toEqual({ bad: 'done', after: 'done' });
    expect((await records(join(out, 'bad/shared/seed-1'))).filter(({ type }) => type === 'step')).toHaveLength(5);
  });
});

describe('a stop', () => {
  const long = `name: demo
stages:
  first: { run: count, steps: 40, evalEvery: 7, sampleEvery: 11, saveEvery: 10, parts: 3 }
  second: { run: count, from: first, steps: 2 }
`;
  const node = () => join(out, 'first/shared/seed-1');
  let whole: unknown;

  /** Everything that a run leaves and that does not tell the time. */
  async function trace(): Promise<unknown> {
    const kept = (await records(node())).map(({ seconds, tokensPerSecond, time, peakRssBytes, ...rest }) => rest);
    return { log: kept, first: await result('first/shared/seed-1'), second: await result('second/shared/seed-1') };
  }

  /** Starts the pipeline, and sends a signal while its first node is in the middle of a step. */
  async function signalledIn(step: number, signal: NodeJS.Signals) {
    const running = startCounter(folder, 'run', 'demo.yaml', '--set', `stages.first.holdAt=${step}`);
    await untilStep(node(), step - 1);
    running.child.kill(signal);
    return running;
  }

  /** Lets the node go on when it has heard why it is to stop, which `times` runs then have. */
  async function goneOn(reason: string, times = 1) {
    const told = `${reason}: stopping after this step`;
    await until(async () => (await readFile(join(node(), 'log.txt'), 'utf8')).split(told).length > times);
    await letGo(node());
  }

  /** What an uninterrupted run leaves; made once. */
  beforeEach(async () => {
    await writeFile(join(folder, 'demo.yaml'), long);
    if (whole) return;
    await run(long);
    whole = await trace();
    await rm(out, { recursive: true });
  });

  it('by a signal saves what is done of the step, says how to go on, and changes nothing in the result', async () => {
    for (const [turn, step] of [7, 23].entries()) {
      const running = await signalledIn(step, 'SIGINT');
      await goneOn('SIGINT', turn + 1);
      const { status, stderr } = await running.ended;
      expect(status).toBe(130);
      expect(stderr).toContain('to continue: mixtune run demo.yaml');
      expect((await records(node())).at(-1)).toMatchObject({ type: 'stopped', step: step - 1, reason: 'SIGINT' });
      expect(await readdir(node())).toContain(`state-0000${String(step - 1).padStart(2, '0')}+2`);
    }
    expect((await run(long)).status).toBe(0);
    expect(await trace()).toEqual(whole);
  });

  it('reaches a node whose parent was killed: it saves and ends by itself', async () => {
    await (await signalledIn(6, 'SIGKILL')).ended;
    await goneOn('parent gone');
    await until(() => !existsSync(join(node(), 'node.lock')));
    expect((await records(node())).at(-1)).toMatchObject({ type: 'stopped', reason: 'parent gone' });
    expect((await run(long)).status).toBe(0);
    expect(await trace()).toEqual(whole);
  });

  it('by SIGKILL to the node costs only the steps since its last state', async () => {
    const running = startCounter(folder, 'run', 'demo.yaml', '--set', 'stages.first.holdAt=25');
    await untilStep(node(), 24);
    const [pid] = (await readFile(join(node(), 'opened.txt'), 'utf8')).trim().split(' ');
    process.kill(Number(pid), 'SIGKILL');
    expect((await running.ended).status).toBe(1);
    expect((await run(long)).status).toBe(0);
    expect(await readFile(join(node(), 'log.txt'), 'utf8')).toMatch(/continuing from .*state-000020/);
    expect(await trace()).toEqual(whole);
  });
});

it('a step that fails before it has changed anything loses nothing', async () => {
  const refused = await run('name: demo\nstages:\n  a: { run: count, steps: 9, refuseAt: 6 }\n');
  expect(refused.status).toBe(1);
  expect((await readdir(join(out, 'a/shared/seed-1'))).filter((name) => name.startsWith('state-'))).toEqual([
    'state-000005',
  ]);
});

describe('a node that is at work', () => {
  const slow = 'name: demo\nstages:\n  a: { run: count, steps: 3, pause: 60000 }\n';
  const node = () => join(out, 'a/shared/seed-1');

  it('is not run by two commands at once, and a second signal ends it without waiting for its step', async () => {
    await writeFile(join(folder, 'demo.yaml'), slow);
    const running = startCounter(folder, 'run', 'demo.yaml');
    await until(() => existsSync(join(node(), 'opened.txt')));
    const second = await counter(folder, 'run', 'demo.yaml');
    expect(second.status).toBe(2);
    expect(second.stderr).toMatch(/seed-1: process \d+ is running in it\n.*hint/);

    const { pid } = JSON.parse(await readFile(join(node(), 'node.lock'), 'utf8'));
    running.child.kill('SIGINT');
    await until(async () => (await readFile(join(node(), 'log.txt'), 'utf8')).includes('stopping after this step'));
    // Signals that come at once count as one that was passed on twice; a later one does not.
    await until(() => !running.child.kill('SIGINT') || !isRunning(pid));
    expect((await running.ended).status).toBe(130);
    await until(() => !isRunning(pid));
  });

  function isRunning(pid: number): boolean {
    try {
      process.kill(pid, 0);
      return true;
    } catch {
      return false;
    }
  }
});

describe('the best evaluation', () => {
  const losses = '[5, 3, 4, 6, 2]';

  it('makes the result, wherever it was', async () => {
    const text = `name: demo\nstages:\n  a: { run: count, steps: 8, evalEvery: 2, best: loss, losses: ${losses} }\n`;
    expect((await run(text)).status).toBe(0);
    expect(await result('a/shared/seed-1')).toMatchObject({ step: 4 });
    expect((await readdir(join(out, 'a/shared/seed-1'))).filter((name) => name.startsWith('state-'))).toEqual([]);
  });

  it('ends a run when the patience for a better one is over', async () => {
    const text = `name: demo\nstages:\n  a: { run: count, steps: 20, evalEvery: 2, best: loss, patience: 2, losses: ${losses} }\n`;
    const { summary } = await run(text);
    expect(summary.nodes[0]).toMatchObject({ status: 'done', step: 8 });
    expect(await result('a/shared/seed-1')).toMatchObject({ step: 4 });
  });
});

it('writes plain lines where there is no terminal, and one JSON document on standard output', async () => {
  const { stdout, stderr } = await run(chain);
  expect(JSON.parse(stdout)).toMatchObject({ pipeline: 'demo', directory: out });
  expect(stderr).toContain('first/shared/seed-1: step 2/4');
  expect(stderr).not.toContain('\u001b');
  const people = await counter(folder, 'run', 'demo.yaml');
  expect(people.stdout).toMatch(/first\/shared\/seed-1 +finished before/);
  expect(people.stdout).toContain('Report: checkpoints/demo/report/index.html');
});

it('refuses an output folder that cannot be written before any work', async () => {
  await writeFile(join(folder, 'file'), '');
  const { status, stderr } = await run(chain, '--out', 'file/below');
  expect(status).toBe(2);
  expect(stderr).toMatch(/file\/below: nothing can be written there \(ENOTDIR\)\n.*--out/);
});
