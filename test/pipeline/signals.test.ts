import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { NodeOutcome } from '../../src/pipeline/executors/executor.ts';
import { exitStatusOf } from '../../src/pipeline/run-plan.ts';
import type { StopReason } from '../../src/pipeline/stop.ts';
import { counter, letGo, records, startCounter, until, untilStep } from './command.ts';

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mixtune-signals-'));
});

afterAll(() => rm(folder, { recursive: true, force: true }));

const keys = ['--steps', '40', '--eval-every', '7', '--sample-every', '11'];
const start = (out: string, ...flags: string[]) => startCounter(folder, 'count', ...keys, '--out', out, ...flags);
const states = async (out: string) => (await readdir(join(folder, out))).filter((name) => name.startsWith('state-'));
const sumOf = async (out: string) => readFile(join(folder, out, 'final', 'config.json'), 'utf8');
const types = async (out: string) => (await records(join(folder, out))).map(({ type, step }) => `${type} ${step}`);

describe('a stage by itself', () => {
  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
    ['SIGQUIT', 131],
  ] as const)('saves and ends on %s, sent once or twice, with status %i', async (signal, status) => {
    const running = start(signal, '--hold-at', '6');
    await untilStep(join(folder, signal), 5);
    running.child.kill(signal);
    running.child.kill(signal);
    await until(() => running.said().includes(`${signal}: stopping after this step`));
    await letGo(join(folder, signal));
    const ended = await running.ended;
    expect(ended).toMatchObject({ status, stderr: expect.stringContaining('to continue: mixtune count') });
    expect(await states(signal)).toHaveLength(1);
    expect((await records(join(folder, signal))).at(-1)).toMatchObject({ type: 'stopped', reason: signal });
    expect(existsSync(join(folder, signal, 'node.lock'))).toBe(false);
  });

  it('saves and goes on on SIGUSR1 and SIGUSR2, and Node opens no debugger', async () => {
    const running = start('saving', '--steps', '100000', '--pause', '5');
    await untilStep(join(folder, 'saving'), 5);
    const saved = new Set<string>();
    for (const signal of ['SIGUSR1', 'SIGUSR2'] as const) {
      const before = saved.size;
      running.child.kill(signal);
      await until(async () => {
        for (const state of await states('saving')) saved.add(state);
        return saved.size > before;
      });
    }
    running.child.kill('SIGTERM');
    const { status, stderr } = await running.ended;
    expect(status).toBe(143);
    for (const signal of ['SIGUSR1', 'SIGUSR2']) expect(stderr).toContain(`${signal}: saving after this step`);
    expect(stderr).not.toContain('Debugger');
  });

  it('goes on to its end where nobody reads what it says any more', async () => {
    const running = start('unread', '--hold-at', '3');
    await untilStep(join(folder, 'unread'), 2);
    running.child.stderr!.destroy();
    running.child.stdout!.destroy();
    await letGo(join(folder, 'unread'));
    expect((await running.ended).status).toBe(0);
    expect((await types('unread')).at(-1)).toBe('done 40');
    expect(existsSync(join(folder, 'unread', 'node.lock'))).toBe(false);
  });

  it('is stopped while it still reads its data, and has nothing to save', async () => {
    const running = start('early', '--hold-at', '0');
    await until(() => existsSync(join(folder, 'early', 'opened.txt')));
    running.child.kill('SIGINT');
    await until(() => running.said().includes('SIGINT: stopping'));
    await letGo(join(folder, 'early'));
    const { status, stderr } = await running.ended;
    expect(status).toBe(130);
    expect(stderr).toContain('to start again: mixtune count');
    expect(await states('early')).toEqual([]);
    expect(await types('early')).toEqual(['start 0', 'stopped 0']);
  });

  it('ends with the numbers of a run that was never disturbed', async () => {
    await counter(folder, 'count', ...keys, '--out', 'SIGHUP');
    expect(await sumOf('SIGHUP')).toBe(await sumOf('unread'));
    expect(await types('SIGHUP')).toEqual(await types('unread'));
  });
});

describe('a pipeline', () => {
  const pipeline = `name: demo
stages:
  first: { run: count, steps: 100000, pause: 5 }
  second: { run: count, from: first, steps: 2 }
`;
  const node = (out: string) => join(folder, out, 'first/shared/seed-1');
  const childOf = (out: string) => Number(readFileSync(join(node(out), 'opened.txt'), 'utf8').split(' ')[0]);

  async function begun(out: string) {
    await writeFile(join(folder, 'demo.yaml'), pipeline);
    const running = startCounter(folder, 'run', 'demo.yaml', '--out', out);
    await untilStep(node(out), 2);
    return running;
  }

  it('ends as it should where only a child was stopped, and says why the rest was not begun', async () => {
    const running = await begun('child');
    process.kill(childOf('child'), 'SIGINT');
    const { status, stdout } = await running.ended;
    expect(status).toBe(130);
    expect(stdout).toMatch(/first\/shared\/seed-1 +stopped/);
    expect(stdout).toMatch(/second\/shared\/seed-1 +skipped: first\/shared\/seed-1 was stopped/);
  });

  // Linux tells what a process is doing.
  it.skipIf(process.platform !== 'linux')(
    'is suspended with its children, goes on with them, and passes on a hang-up',
    async () => {
      const stateOf = (pid: number) => readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.charAt(0);
      const running = await begun('suspended');
      const child = childOf('suspended');
      running.child.kill('SIGTSTP');
      await until(() => stateOf(child) === 'T' && stateOf(running.child.pid!) === 'T');
      running.child.kill('SIGCONT');
      await until(() => stateOf(child) !== 'T' && stateOf(running.child.pid!) !== 'T');
      running.child.kill('SIGUSR1');
      await until(async () => (await readdir(node('suspended'))).some((name) => name.startsWith('state-')));
      running.child.kill('SIGHUP');
      expect((await running.ended).status).toBe(129);
      expect((await records(node('suspended'))).at(-1)).toMatchObject({ type: 'stopped', reason: 'SIGHUP' });
    },
  );
});

describe('the status of a run', () => {
  const outcome = (status: NodeOutcome['status'], exitCode?: number): NodeOutcome => ({
    ...{ id: 'a', status },
    ...(exitCode === undefined ? {} : { exitCode }),
  });
  const [done, finished, skipped] = [outcome('done', 0), outcome('finished'), outcome('skipped')];
  it.each<[number, string, NodeOutcome[], StopReason?]>([
    [0, 'all done', [done, finished]],
    [0, 'a stop that came too late to cut anything short', [done], 'SIGINT'],
    [1, 'a node that failed', [outcome('failed', 1), skipped]],
    [1, 'a node that was killed', [outcome('failed', 137), done]],
    [1, 'a node that could not even be started', [outcome('failed')]],
    [2, 'nodes that were refused', [outcome('failed', 2), skipped]],
    [1, 'a node that was refused and one that failed', [outcome('failed', 2), outcome('failed', 1)]],
    [1, 'a node that failed before the stop', [outcome('failed', 1), outcome('stopped', 130)], 'SIGINT'],
    [130, 'a stop', [outcome('stopped', 130), skipped], 'SIGINT'],
    [129, 'a stop that a node never heard of', [outcome('stopped', 143)], 'SIGHUP'],
    [143, 'a stop before the first node', [skipped], 'SIGTERM'],
    [143, 'a parent that is gone', [skipped], 'parent gone'],
    [131, 'a stop of one child alone', [outcome('stopped', 131), skipped]],
  ])('is %i for %s', (status, _, outcomes, stopped) => {
    expect(exitStatusOf(outcomes, stopped)).toBe(status);
  });
});
