import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { contentsBelow } from '../../src/pipeline/contents.ts';
import { parsePipeline } from '../../src/pipeline/pipeline-file.ts';
import { makePlan } from '../../src/pipeline/plan.ts';
import { runNode } from '../../src/pipeline/run-node.ts';
import type { NodeJob } from '../../src/runs/node-file.ts';
import type { Stage } from '../../src/stages/stage.ts';
import { stages } from './counter-stages.mjs';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mixtune-reads-'));
  await writeFile(file('words.txt'), 'one two three');
});

afterEach(() => rm(folder, { recursive: true, force: true }));

const file = (name: string) => join(folder, name);
const counter = stages.find(({ name }) => name === 'count')!;

/** Other content, and the old one again, as an editor or a download would leave it. */
async function changeAndBack(name: string): Promise<void> {
  const content = await readFile(file(name));
  await writeFile(file(name), 'four five six');
  await writeFile(file(name), content);
}

async function planned(keys: string): Promise<NodeJob> {
  const pipeline = parsePipeline(
    `name: demo\nstages:\n  a: { run: count, backend: portable, ${keys} }\n`,
    'demo.yaml',
    [],
  );
  const contents = contentsBelow(folder);
  const { nodes } = await makePlan(pipeline, { stages, directory: file('out'), baseDirectory: folder, contents });
  const [{ job }] = nodes as [(typeof nodes)[0]];
  await mkdir(job.directory, { recursive: true });
  return job;
}

function run(job: NodeJob, stage: Stage = counter) {
  const stop = { reason: undefined, isSaveWanted: false };
  return runNode(job, { stages: [stage], threads: 1, stop, log: () => {}, warn: () => {} });
}

const isFinished = ({ directory }: NodeJob) => existsSync(join(directory, 'manifest.json'));

describe('data that changes', () => {
  it('between the plan and reading is refused', async () => {
    const job = await planned('data: words.txt');
    await writeFile(file('words.txt'), 'one two four');
    await expect(run(job)).rejects.toThrow('words.txt: has changed since this run was planned');
    await rm(file('words.txt'));
    await expect(run(job)).rejects.toThrow('words.txt: neither a file nor');
    expect(isFinished(job)).toBe(false);
    await writeFile(file('words.txt'), 'one two three');
    await run(job);
    expect(isFinished(job)).toBe(true);
  });

  it('while it is read, and back, is refused', async () => {
    const job = await planned('data: words.txt');
    const open: Stage['open'] = async (...parts) => {
      await changeAndBack('words.txt');
      return counter.open(...parts);
    };
    await expect(run(job, { ...counter, open })).rejects.toThrow('words.txt: changed while it was being read');
    expect(isFinished(job)).toBe(false);
  });

  it('after a stage that trains has read it is nobody’s matter', async () => {
    const job = await planned('data: words.txt');
    await run(job, {
      ...counter,
      async *run(...parts) {
        await writeFile(file('words.txt'), 'four');
        return yield* counter.run(...parts);
      },
    });
    expect(isFinished(job)).toBe(true);
  });

  it('before the end of a stage that reads as it runs is refused', async () => {
    const job = await planned('data: words.txt');
    const { save, ...rest } = counter;
    const measuring = { ...rest, readsOnOpen: false };
    const finish: Stage['finish'] = async (...parts) => {
      await changeAndBack('words.txt');
      await counter.finish(...parts);
    };
    await expect(run(job, { ...measuring, finish })).rejects.toThrow('words.txt: changed while it was being read');
    expect(isFinished(job)).toBe(false);
  });
});

describe('a directory that a run starts from', () => {
  it('has links to files in its hash, of which downloads consist', async () => {
    for (const [name, content] of Object.entries({ 'blob-1': 'one', 'blob-2': 'two' }))
      await writeFile(file(name), content);
    await mkdir(file('snapshot'));
    const hashOf = async (blob: string) => {
      await rm(file('snapshot/model'), { force: true });
      await symlink(file(blob), file('snapshot/model'));
      return contentsBelow(folder).directory(file('snapshot'));
    };
    expect(await hashOf('blob-1')).not.toBe(await hashOf('blob-2'));
    expect(await hashOf('blob-1')).toBe(await hashOf('blob-1'));
  });

  it('and that changes since the plan is refused, its own node’s result as well', async () => {
    const job = await planned('data: words.txt');
    await run(job);
    const final = join(job.directory, 'final');
    const directories = { [final]: await contentsBelow(folder).directory(final) };
    const reading = (reads: NodeJob['reads']): NodeJob => ({
      ...{ ...job, directory: file('reader'), config: { backend: 'portable' } },
      ...{ inputs: { from: [{ name: 'a', directory: final }] }, reads },
    });
    await mkdir(file('reader'));
    await writeFile(join(final, 'config.json'), '{"sum": 1}');
    await expect(run(reading({ datasets: [], files: {}, directories }))).rejects.toThrow('final: has changed since');
    await expect(run(reading(undefined))).rejects.toThrow(/config\.json: has 10 bytes, \d+ were written/);
  });
});
