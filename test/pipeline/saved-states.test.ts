import { mkdirSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readManifest, writeManifest } from '../../src/checkpoint/manifest.ts';
import { standingOf } from '../../src/pipeline/node-folder.ts';
import { runNode } from '../../src/pipeline/run-node.ts';
import type { Machine } from '../../src/runs/machine.ts';
import { type NodeJob, readJob, writeJob } from '../../src/runs/node-file.ts';
import { stages } from './counter-stages.mjs';

let folder: string;
let warnings: string[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mixtune-states-'));
});

afterEach(() => rm(folder, { recursive: true, force: true }));

const config = { steps: 9, saveEvery: 2, evalEvery: 2, best: 'loss', losses: [5, 3, 4, 6] };
const portable: Machine = { backend: 'portable', precision: 'auto' };
const nodeIn = (name: string) => join(folder, name);

const jobOf = (name: string, machine: Machine, keys: object = config): NodeJob => ({
  ...{ format: 1, id: name, stage: 'count', run: 'count', seed: 1, key: JSON.stringify(machine), work: 'the same' },
  ...{ directory: nodeIn(name), baseDirectory: folder, machine, config: { ...keys, ...machine }, inputs: {} },
});

function run(name: string, { machine = portable, keys = config } = {}) {
  mkdirSync(nodeIn(name), { recursive: true });
  warnings = [];
  const warn = (message: string) => void warnings.push(message);
  const stop = { reason: undefined, isSaveWanted: false };
  return runNode(jobOf(name, machine, keys), { stages, threads: 1, stop, log: () => {}, warn });
}

/** A run that failed after step 8, with the states of steps 4 (the best), 6 and 8. */
async function begun(name: string): Promise<void> {
  await expect(run(name, { keys: { ...config, failAt: 9 } as typeof config })).rejects.toThrow('told to fail');
}

const stateOf = (name: string, step: number) => join(nodeIn(name), `state-00000${step}`);
const resultOf = (name: string) => readFile(join(nodeIn(name), 'final', 'config.json'), 'utf8');

/** Changes what the runner remembers of a state. */
async function change(state: string, details: Record<string, unknown>): Promise<void> {
  const { files, version, ...kept } = (await readManifest(state))!;
  await writeManifest(state, { ...kept, ...details });
}

const progress = {
  step: 8,
  totalSteps: 9,
  pauses: 0,
  pausedSeconds: 0,
  seconds: 1,
  measured: true,
  evaluationsSinceBest: 2,
};
const best = { value: 3, step: 4 };

describe('a state whose memory of the run makes no sense', () => {
  it.each<[string, unknown]>([
    ['progress: is missing', undefined],
    ['progress.step: found -8', { ...progress, step: -8 }],
    ['progress.step: found 8.5', { ...progress, step: 8.5 }],
    ['progress.step: is after the last step', { ...progress, step: 10 }],
    ['belongs to another state', { ...progress, step: 7 }],
    ['belongs to another state', { ...progress, pauses: 3 }],
    ['progress.seconds: found "1"', { ...progress, seconds: '1' }],
    ['progress.seconds: found -1', { ...progress, seconds: -1 }],
    ['progress.best.step: is yet to come', { ...progress, best: { value: 3, step: 9 } }],
    ['progress.laps: unknown key', { ...progress, laps: 1 }],
  ])('is passed over for the one before it: %s', async (reason, told) => {
    await run('whole');
    await begun('a');
    await change(stateOf('a', 8), { progress: told });
    await run('a');
    expect(warnings).toEqual([
      expect.stringContaining(`not used: ${stateOf('a', 8)}/manifest.json: ${reason.split(': ')[0]}`),
    ]);
    expect(warnings[0]).toContain(reason.split(': ').at(-1));
    expect(await resultOf('a')).toBe(await resultOf('whole'));
  });

  it('ends the run where the stage itself is at another step', async () => {
    for (const step of [3, 9, 1e9]) {
      await begun(`a${step}`);
      const state = stateOf(`a${step}`, 8);
      await change(state, { progress: { ...progress, best } });
      const count = JSON.parse(await readFile(join(state, 'count.json'), 'utf8'));
      await writeFile(join(state, 'count.json'), JSON.stringify({ ...count, step }));
      await change(state, {});
      await expect(run(`a${step}`)).rejects.toThrow(`${state} does not hold the state of step 8, as its manifest says`);
    }
  });
});

it('a best state that is gone is told, and cannot become the result', async () => {
  await begun('a');
  await rm(stateOf('a', 4), { recursive: true });
  await run('a');
  expect(warnings).toEqual([expect.stringMatching(/^the best state, of step 4, is lost: /)]);
  expect(JSON.parse(await resultOf('a'))).toMatchObject({ step: 9 });
});

describe('a run that was begun on another engine', () => {
  /** One that `auto` never chooses. */
  const other = { backend: 'tensorflow', precision: 'f32' };

  it('is not gone on with unless that was asked for, and then says so', async () => {
    await begun('a');
    expect(await readManifest(stateOf('a', 8))).toMatchObject({ engine: { backend: 'portable', precision: 'f32' } });
    for (const step of [6, 8]) await change(stateOf('a', step), { engine: other });
    await expect(run('a', { machine: { backend: 'auto', precision: 'auto' } })).rejects.toThrow(
      /state-000008: was computed with tensorflow in f32; here it would be .*\n.*or ask for the change with --/,
    );
    expect(await readManifest(stateOf('a', 8))).toMatchObject({ engine: other });
    await run('a');
    expect(warnings).toEqual([
      'this run was started with tensorflow in f32, and continues with portable in f32, as requested: from here on its steps give different bits',
    ]);
  });

  it('is found where it is by a command that asks for another, and by no other', async () => {
    const auto: Machine = { backend: 'auto', precision: 'auto' };
    await begun('a');
    await writeJob(jobOf('a', auto));
    expect(await standingOf(jobOf('a', auto))).toBe('begun');
    expect(await standingOf(jobOf('a', portable))).toBe('begun');
    expect(await standingOf({ ...jobOf('a', portable), work: 'other' })).toBe('superseded');
    await writeJob(jobOf('a', portable));
    expect(await standingOf(jobOf('a', auto))).toBe('superseded');
    await run('a');
    expect(await standingOf(jobOf('a', { backend: 'native', precision: 'auto' }))).toBe('superseded');
  });
});

it.each(['', '{', 'null', '[]', '{"format":1}', '{"format":2}'])(
  'a node.json that is none is named: %j',
  async (text) => {
    const file = join(folder, 'node.json');
    await writeFile(file, text);
    await expect(readJob(file)).rejects.toThrow(`${file}: this is not a job of this version of mixtune`);
  },
);
