import { mkdirSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type NodeEnd, runNode } from '../../src/pipeline/run-node.ts';
import type { NodeJob } from '../../src/runs/node-file.ts';
import { disk, type Operation } from '../faulty-disk.ts';
import { records } from './command.ts';
import { stages } from './counter-stages.mjs';

vi.mock('node:fs/promises', async (original) => (await import('../faulty-disk.ts')).faultyPromises(await original()));
vi.mock('node:fs', async (original) => (await import('../faulty-disk.ts')).faultySynchronous(await original()));
// Nobody waits between two tries here.
vi.mock('node:timers/promises', async (original) => ({
  ...(await original<object>()),
  setTimeout: () => new Promise((resolve) => setImmediate(resolve)),
}));

let folder: string;
let warnings: string[];

beforeEach(async () => {
  disk.refuse = () => undefined;
  folder = await mkdtemp(join(tmpdir(), 'mixtune-disk-'));
});

afterEach(async () => {
  disk.refuse = () => undefined;
  await rm(folder, { recursive: true, force: true });
});

const keys = { steps: 9, evalEvery: 2, sampleEvery: 3, saveEvery: 3, best: 'loss', losses: [5, 3, 4, 6] };

async function run(name: string, config: Record<string, unknown> = keys, stop = {}): Promise<NodeEnd> {
  const directory = join(folder, name);
  mkdirSync(directory, { recursive: true });
  const job: NodeJob = {
    ...{ format: 1, id: name, stage: 'count', run: 'count', seed: 1, key: 'k', directory, baseDirectory: folder },
    ...{ machine: { backend: 'portable', precision: 'auto' }, config, inputs: {} },
  };
  warnings = [];
  disk.operations = [];
  const warn = (message: string) => void warnings.push(message);
  return runNode(job, {
    stages,
    threads: 1,
    stop: { reason: undefined, isSaveWanted: false, ...stop },
    log: () => {},
    warn,
  });
}

/** All of a finished run that does not tell the time. */
async function trace(name: string): Promise<unknown> {
  const log = await records(join(folder, name));
  const kept = log.map(({ seconds, tokensPerSecond, time, peakRssBytes, ...rest }) => rest);
  return { kept, result: await readFile(join(folder, name, 'final', 'config.json'), 'utf8') };
}

/** The lock is taken before there is anything to lose, and `opened.txt` is the stage's own. */
const isOurs = ({ path }: Operation) => !/node\.lock|opened\.txt/.test(path);

describe('a disk that refuses', () => {
  it('any one write once costs nothing, and is told', async () => {
    await run('whole');
    const whole = await trace('whole');
    const all = [...disk.operations];
    expect(all.filter(isOurs).length).toBeGreaterThan(60);
    for (const [refused, operation] of all.entries()) {
      if (!isOurs(operation)) continue;
      const code = refused % 2 ? 'ENOSPC' : 'EIO';
      const name = `refused-${refused}`;
      disk.refuse = (_, index) => (index === refused ? code : undefined);
      const end = await run(name).catch((error: Error) => error);
      expect(end, `${operation.name} ${operation.path}`).toMatchObject({ status: 'done', step: 9 });
      expect(await trace(name), `${operation.name} ${operation.path}`).toEqual(whole);
      // A state whose removal failed is left, and that is told.
      const left = (await readdir(join(folder, name))).filter((entry) => !entry.startsWith('state-'));
      expect(left.sort()).toEqual((await readdir(join(folder, 'whole'))).sort());
      // What is swept away in passing need not be.
      if (operation.name !== 'rm')
        expect(warnings.join('\n'), operation.path).toMatch(/disk (is full|reported)|were not removed/);
      await rm(join(folder, name), { recursive: true });
    }
  }, 120_000);

  it('everything from some write on ends the run, and what is saved is said and gone on from', async () => {
    await run('whole');
    const whole = await trace('whole');
    const all = [...disk.operations];
    for (let from = 0; from < all.length; from += 5) {
      const name = `from-${from}`;
      disk.refuse = (operation, index) => (index >= from && isOurs(operation) ? 'ENOSPC' : undefined);
      const end = await run(name).catch((error: Error) => error);
      const states = (await readdir(join(folder, name))).filter((entry) => /^state-\d+$/.test(entry)).sort();
      const isSaved = states.length > 0 ? `the newest saved state is .*${states.at(-1)}$` : 'no state is saved yet$';
      if (end instanceof Error) {
        const isAtStart = /metrics\.jsonl could not be written/.test(end.message);
        if (!isAtStart) {
          expect(end.message).toMatch(new RegExp(`could not be written: the disk is full \\(ENOSPC\\).*; ${isSaved}`));
        }
      } else expect(warnings.at(-1)).toContain('saved states were not removed');
      disk.refuse = () => undefined;
      await run(name);
      expect(await trace(name), all[from]?.path).toEqual(whole);
    }
  }, 120_000);

  it('a save is tried again after one step, then two, then four', async () => {
    const tried: string[] = [];
    disk.refuse = ({ name, path }) => {
      const state = /state-(\d+)\.tmp-[\w-]+$/.exec(path)?.[1];
      if (name !== 'mkdir' || !state) return undefined;
      tried.push(state);
      return tried.length <= 4 ? 'EIO' : undefined;
    };
    await run('a', { steps: 20, saveEvery: 3 });
    expect(tried.slice(0, 5).map(Number)).toEqual([3, 4, 6, 9, 12]);
    expect(warnings).toHaveLength(4);
    expect(warnings[1]).toMatch(
      /state-000004 could not be written: the disk reported an error \(EIO\); .*; training continues, no state is saved yet, and it is tried again after step 6$/,
    );
  });

  it('the best state: what was the best before it is the result, and that is told', async () => {
    disk.refuse = ({ name, path }) => (name === 'mkdir' && /state-000004\.tmp/.test(path) ? 'ENOSPC' : undefined);
    await run('a', { ...keys, saveEvery: 100 });
    expect(JSON.parse(await readFile(join(folder, 'a', 'final', 'config.json'), 'utf8'))).toMatchObject({ step: 9 });
    expect(warnings.at(-1)).toMatch(/the best state so far, of step 4, is lost: the best that is saved is of step 2$/);
  });

  it('the records: they wait in memory, and are written as soon as they can be', async () => {
    let appended = 0;
    disk.refuse = ({ name }) => (name === 'append' && ++appended > 4 && appended < 9 ? 'ENOSPC' : undefined);
    await run('a', { steps: 12 });
    expect((await records(join(folder, 'a'))).map(({ step }) => step)).toEqual([
      0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 12, 12, 12,
    ]);
    expect(warnings).toEqual([
      expect.stringMatching(
        /metrics\.jsonl could not be written: the disk is full \(ENOSPC\); .*its records are kept in memory$/,
      ),
    ]);
  });
});
