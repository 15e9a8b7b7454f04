import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { saveModel } from '../../src/checkpoint/load-model.ts';
import { initialiseModel } from '../../src/model/initialise.ts';
import { presetConfig } from '../../src/model/presets.ts';
import { contentKey, contentsBelow } from '../../src/pipeline/contents.ts';
import { parsePipeline } from '../../src/pipeline/pipeline-file.ts';
import { decidingKeys, makePlan, type Plan } from '../../src/pipeline/plan.ts';
import { machineSchema } from '../../src/runs/machine.ts';
import { dpoStage } from '../../src/stages/dpo.ts';
import { PortableBackend } from '../../src/tensor/backends/portable.ts';
import { trainTokenizer } from '../../src/tokenizer/train.ts';
import { stages } from './counter-stages.mjs';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mixtune-plan-'));
});

afterEach(() => rm(folder, { recursive: true, force: true }));

function plan(text: string, set: string[] = []): Promise<Plan> {
  const pipeline = parsePipeline(text, 'demo.yaml', set);
  const directory = join(folder, 'out');
  return makePlan(pipeline, { stages, directory, baseDirectory: folder, contents: contentsBelow(folder) });
}

const demo = `name: demo
seeds: [1, 2]
variants:
  a: { second: { scale: 2 } }
  b: { second: { scale: 3 } }
stages:
  all: { run: gather, of: [first, third] }
  third: { run: count, from: second }
  second: { run: count, from: first }
  first: { run: count }
`;

describe('the product of stages, variants and seeds', () => {
  it('holds each stage as often as what it depends on differs, behind what it reads', async () => {
    const { nodes } = await plan(demo);
    expect(nodes.map(({ job }) => job.id)).toEqual([
      'first/shared/seed-1',
      'first/shared/seed-2',
      'second/a/seed-1',
      'second/a/seed-2',
      'second/b/seed-1',
      'second/b/seed-2',
      'third/a/seed-1',
      'third/a/seed-2',
      'third/b/seed-1',
      'third/b/seed-2',
      'all/shared/seed-1',
    ]);
  });

  it('reads the same variant and seed, or all of them where the stage wants all', async () => {
    const { nodes } = await plan(demo);
    const inputs = Object.fromEntries(nodes.map((node) => [node.job.id, node.inputs]));
    expect(inputs['second/b/seed-2']).toEqual(['first/shared/seed-2']);
    expect(inputs['third/b/seed-2']).toEqual(['second/b/seed-2']);
    expect(inputs['all/shared/seed-1']).toEqual([
      'first/shared/seed-1',
      'first/shared/seed-2',
      'third/a/seed-1',
      'third/a/seed-2',
      'third/b/seed-1',
      'third/b/seed-2',
    ]);
  });

  it('runs a stage with a seed of its own once, and with it what reads it and draws nothing', async () => {
    const gold = `${demo}  base: { run: count, seed: 7 }\n  gold: { run: count, seed: 7, from: base }\n`;
    const { nodes } = await plan(
      gold.replace('third: { run: count, from: second }', '$&\n  judged: { run: count, from: gold }'),
    );
    const ids = nodes.map(({ job }) => job.id);
    expect(ids.filter((id) => /base|gold/.test(id))).toEqual(['base/shared/seed-7', 'gold/shared/seed-7']);
    const judged = nodes.filter(({ job }) => job.stage === 'judged');
    expect(judged.map(({ job, inputs }) => [job.id, inputs])).toEqual([
      ['judged/shared/seed-1', ['gold/shared/seed-7']],
      ['judged/shared/seed-2', ['gold/shared/seed-7']],
    ]);
    expect(nodes.find(({ job }) => job.stage === 'gold')!.job.config).toEqual({ from: 'base' });
  });

  it('lets a stage with a seed of its own read a stage of all seeds only where that has this one', async () => {
    const text = (seed: number) => `${demo}  gold: { run: count, seed: ${seed}, from: first }\n`;
    const nodes = (await plan(text(2))).nodes.filter(({ job }) => job.stage === 'gold');
    expect(nodes.map(({ inputs }) => inputs)).toEqual([['first/shared/seed-2']]);
    await expect(plan(text(7))).rejects.toThrow(
      'line 11  stages.gold.seed: `from` reads `first`, which runs with the seeds 1, 2',
    );
  });

  it('needs neither variants nor seeds', async () => {
    const { nodes } = await plan('name: demo\nstages:\n  first: { run: count }\n');
    expect(nodes.map(({ directory }) => directory)).toEqual(['first/shared/seed-1']);
  });
});

describe('content keys', () => {
  const keys = async (text: string, set: string[] = []) =>
    Object.fromEntries((await plan(text, set)).nodes.map(({ job }) => [job.id, job.key]));

  async function changed(set: string[]): Promise<string[]> {
    const before = await keys(demo);
    const after = await keys(demo, set);
    return Object.keys(before).filter((id) => before[id] !== after[id]);
  }

  it('are the same for the same work, and differ for every node', async () => {
    const first = await keys(demo);
    expect(await keys(demo)).toEqual(first);
    expect(new Set(Object.values(first)).size).toBe(11);
  });

  it('do not depend on a default being written out, on names, or on how often is saved and sampled', async () => {
    expect(await changed(['stages.first.steps=10', 'stages.first.saveEvery=3', 'stages.first.sampleEvery=2'])).toEqual(
      [],
    );
    const renamed = await keys(demo.replaceAll('first', 'begin').replace('name: demo', 'name: other'));
    expect(renamed['third/b/seed-2']).toBe((await keys(demo))['third/b/seed-2']);
  });

  it('do not depend on when the log warns of sinking answers', () => {
    const parts = { run: 'dpo', machine: machineSchema.parse({}), seed: 1, datasets: {}, inputs: {} };
    const key = (config: Record<string, unknown>) => contentKey({ ...parts, config: decidingKeys(dpoStage, config) });
    expect(key({ beta: 0.1, sinkingSteps: 5 })).toBe(key({ beta: 0.1, sinkingSteps: 20 }));
    expect(key({ beta: 0.2 })).not.toBe(key({ beta: 0.1 }));
  });

  it('change with a key for the node and all that read it, and for no other', async () => {
    expect(await changed(['stages.third.scale=9'])).toEqual([
      'third/a/seed-1',
      'third/a/seed-2',
      'third/b/seed-1',
      'third/b/seed-2',
      'all/shared/seed-1',
    ]);
    expect(await changed(['variants.b.second.scale=9'])).toEqual([
      'second/b/seed-1',
      'second/b/seed-2',
      'third/b/seed-1',
      'third/b/seed-2',
      'all/shared/seed-1',
    ]);
  });

  it('change with the precision, which changes results', async () => {
    expect(await changed(['stages.third.precision=f32'])).toContain('third/a/seed-1');
  });

  it('change with the content of data, not with its time or place', async () => {
    const text = 'name: demo\nstages:\n  first: { run: count, data: words.txt }\n';
    await writeFile(join(folder, 'words.txt'), 'one two three');
    const before = await keys(text);
    await writeFile(join(folder, 'words.txt'), 'one two three');
    await writeFile(join(folder, 'copy.txt'), 'one two three');
    expect(await keys(text)).toEqual(before);
    expect(await keys(text.replace('words', 'copy'))).toEqual(before);
    await writeFile(join(folder, 'words.txt'), 'one two four');
    expect(await keys(text)).not.toEqual(before);
  });

  it('change with the content of a directory that a stage starts from', async () => {
    const text = 'name: demo\nstages:\n  first: { run: count, from: ./model }\n';
    await mkdir(join(folder, 'model'));
    const tokenizer = trainTokenizer(['a b c'], { vocabSize: 270 });
    const sizes = { hiddenSize: 8, intermediateSize: 8, heads: 2, kvHeads: 2, headDim: 4, layers: 1 };
    const config = { ...presetConfig('1m'), ...sizes, vocabSize: tokenizer.vocabSize };
    await saveModel(join(folder, 'model'), await initialiseModel(config, new PortableBackend(), 1), { tokenizer });
    const before = await keys(text);
    const file = join(folder, 'model', 'config.json');
    await writeFile(file, `${await readFile(file, 'utf8')} `);
    expect(await keys(text)).not.toEqual(before);
  });
});

describe('what is wrong', () => {
  it('is told all at once: keys, values, stages, names of variants, data', async () => {
    const broken = `name: demo
variants:
  a: { frist: { scale: 2 }, first: { scale: high } }
stages:
  first: { run: count, step: 3, kind: fany }
  second: { run: cuont }
  third: { run: count, from: frist }
  fourth: { run: count, data: missing.txt }
  fifth: { run: count, patience: 3, evalEvery: 2 }
`;
    const error = await plan(broken).catch((caught: unknown) => caught);
    expect(String(error)).toContain('8 problems in demo.yaml, nothing was started');
    for (const line of [
      'line 6  stages.second.run: there is no stage `cuont`\n           → hint: did you mean `count`?',
      'line 3  variants.a.frist: the pipeline has no such stage\n           → hint: did you mean `first`?',
      'line 5  stages.first.step: unknown key\n           → hint: did you mean `steps`?',
      'line 5  stages.first.kind: found "fany", expected one of plain, fancy\n           → hint: did you mean `fancy`?',
      'line 3  variants.a.first.scale: found "high", expected a number',
      'line 7  stages.third.from: there is no stage `frist`\n           → hint: did you mean `first`?',
      'line 8  stages.fourth.data: missing.txt',
      'line 9  stages.fifth.patience: has no effect without `best`',
    ]) {
      expect(String(error)).toContain(line);
    }
  });

  it('includes a cycle, by name', async () => {
    const cycle = `name: demo
stages:
  first: { run: count, from: third }
  second: { run: count, from: first }
  third: { run: count, from: second }
`;
    await expect(plan(cycle)).rejects.toThrow('cycle: first → third → second → first');
  });

  it('includes directories that do not hold what they should', async () => {
    await mkdir(join(folder, 'empty'));
    const text = 'name: demo\nstages:\n  a: { run: count, from: ./empty }\n  b: { run: count, from: ./none }\n';
    await expect(plan(text)).rejects.toThrow(/empty is empty[\s\S]*none does not exist/);
  });

  it('names a --set without a line, because it is in no file', async () => {
    await expect(plan(demo, ['stages.first.stpes=3'])).rejects.toThrow(/^ {2}--set stages\.first\.stpes: unknown key/m);
  });
});
