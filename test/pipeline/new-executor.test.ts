import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { addRunCommand } from '../../src/cli/commands/run.ts';
import { contentsBelow } from '../../src/pipeline/contents.ts';
import { execute } from '../../src/pipeline/execute.ts';
import type { ExecutionListener, ExecutorKind, NodeOutcome, Running } from '../../src/pipeline/executors/executor.ts';
import { followNode } from '../../src/pipeline/executors/follow-node.ts';
import { executors as shipped } from '../../src/pipeline/executors/index.ts';
import { parsePipeline } from '../../src/pipeline/pipeline-file.ts';
import { makePlan, planDocument } from '../../src/pipeline/plan.ts';
import { selectNodes } from '../../src/pipeline/selection.ts';
import type { StopReason } from '../../src/pipeline/stop.ts';
import { readPipelineFolder } from '../../src/runs/pipeline-folder.ts';
import { writePlan } from '../../src/runs/plan-file.ts';
import { listRuns } from '../../src/runs/run.ts';
import { stages } from './counter-stages.mjs';
import { inProcess } from './in-process.ts';

const here = inProcess(stages);

/** One whose nodes are taken from it before they can say a word, as a cluster may. */
const preempted: ExecutorKind = {
  name: 'preempted',
  open: ({ jobs }) => ({
    limit: jobs,
    start: (node, hears) => ({
      outcome: followNode(node, hears, Promise.resolve({ message: 'preempted by another job' })),
      stop: () => undefined,
      save: () => undefined,
      kill: () => undefined,
    }),
  }),
};

const executors = [...shipped, here, preempted] as const;

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mixtune-executor-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

type Step = Parameters<ExecutionListener['record']>[1];

async function run(text: string, name: string, heard: (record: Step, wish: (reason: StopReason) => void) => void) {
  const directory = join(folder, 'out');
  const options = { stages, directory, baseDirectory: folder, contents: contentsBelow(folder) };
  const plan = await makePlan(parsePipeline(`name: demo\nstages:\n${text}`, 'demo.yaml', []), options);
  await writePlan(directory, planDocument(plan));
  const stop: { reason: StopReason | undefined; isSaveWanted: boolean } = { reason: undefined, isSaveWanted: false };
  const running = new Set<Running>();
  const wish = (reason: StopReason) => {
    stop.reason = reason;
    for (const node of running) node.stop(reason);
  };
  const listener: ExecutionListener = {
    keptAside: () => undefined,
    started: () => undefined,
    record: (_, record) => heard(record, wish),
    warned: (_, message) => expect.fail(message),
    ended: () => undefined,
  };
  const executor = executors.find((kind) => kind.name === name)!.open({ command: [], jobs: 2, threads: 1 });
  const statuses = await selectNodes(plan, {});
  const again = () => expect.fail('no sweep waits for its trials');
  return (await execute({ plan, statuses }, { executor, listener, running, stop, again })).outcomes;
}

const byStage = (all: readonly { id: string; status: string }[]) =>
  Object.fromEntries(all.map(({ id, status }) => [id.split('/')[0], status]));

/** How `mixtune runs list` and the report call what has ended. */
async function told() {
  const listed = await listRuns(join(folder, 'out'));
  const { nodes } = await readPipelineFolder(join(folder, 'out'));
  return [byStage(listed.map(({ name, status }) => ({ id: name, status }))), byStage(nodes)];
}

const machine = 'backend: portable';

it('runs a graph with a failure, and what it comes to has one name everywhere', async () => {
  const types = new Set<string>();
  const outcomes = await run(
    `  good: { run: count, steps: 3, evalEvery: 1, ${machine} }
  bad: { run: count, steps: 5, failAt: 2, ${machine} }
  after: { run: count, from: bad, ${machine} }
  other: { run: count, from: good, steps: 2, ${machine} }
`,
    'here',
    ({ type }) => types.add(type),
  );
  const ended = { good: 'finished', bad: 'failed', other: 'finished' };
  expect(byStage(outcomes)).toEqual({ ...ended, good: 'done', other: 'done', after: 'skipped' });
  expect(await told()).toEqual([ended, { ...ended, after: 'not run' }]);
  expect(types).toEqual(new Set(['start', 'eval', 'step', 'sample', 'done', 'failed']));
  const of = (stage: string) => outcomes.find(({ id }) => id.startsWith(stage)) as NodeOutcome;
  expect(of('good')).toMatchObject({ exitCode: 0, step: 3, loss: 1 / 3, heldOut: { last: { loss: 1 / 3 } } });
  expect(of('bad')).toMatchObject({ exitCode: 1, step: 1, error: expect.stringContaining('told to fail') });
  expect(of('after').reason).toBe('bad/shared/seed-1 failed');
});

it('stops by the way of every node, and goes on from there', async () => {
  const text = `  first: { run: count, steps: 60, pause: 10, ${machine} }
  second: { run: count, from: first, steps: 2, ${machine} }
`;
  const [first, second] = await run(text, 'here', ({ type, step }, wish) => {
    if (type === 'step' && step === 3) wish('SIGHUP');
  });
  expect(first).toMatchObject({ status: 'stopped', exitCode: 129 });
  expect(first!.step).toBeGreaterThanOrEqual(3);
  expect(second).toEqual({ id: 'second/shared/seed-1', status: 'skipped', reason: 'first/shared/seed-1 was stopped' });
  expect(await told()).toEqual([{ first: 'stopped' }, { first: 'stopped', second: 'not run' }]);

  const again = await run(text, 'here', () => undefined);
  expect(byStage(again)).toEqual({ first: 'done', second: 'done' });
  expect(await told()).toEqual(Array(2).fill({ first: 'finished', second: 'finished' }));
});

it('writes down the end of a node that left without a word, and not that of the time before', async () => {
  const text = `  a: { run: count, steps: 60, pause: 10, ${machine} }\n`;
  await run(text, 'here', ({ type }, wish) => {
    if (type === 'step') wish('SIGINT');
  });
  expect(await told()).toEqual(Array(2).fill({ a: 'stopped' }));
  const [outcome] = await run(text, 'preempted', () => undefined);
  expect(outcome).toMatchObject({ status: 'failed', exitCode: 1, error: expect.stringContaining('preempted by') });
  expect(await told()).toEqual(Array(2).fill({ a: 'failed' }));
});

it('can be asked for by its name on the command line, where there is more than one', () => {
  const helpOf = (listed: typeof shipped) => {
    const parent = new Command();
    addRunCommand(parent, { stages, executors: listed, argv: [], action: () => async () => undefined });
    return parent.commands[0]!.helpInformation();
  };
  expect(helpOf([...shipped, here])).toMatch(/--executor <name> .*choices:\s+"local", "here"/);
  expect(helpOf(shipped)).not.toContain('--executor');
});
