import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { contentKey, contentsBelow, type KeyParts } from '../../src/pipeline/contents.ts';
import { parsePipeline } from '../../src/pipeline/pipeline-file.ts';
import { decidingKeys, makePlan, type PlanNode } from '../../src/pipeline/plan.ts';
import { machineSchema } from '../../src/runs/machine.ts';
import { stages as realStages } from '../../src/stages/index.ts';
import type { Stage } from '../../src/stages/stage.ts';
import { stages } from './counter-stages.mjs';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mixtune-key-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** Reads one model, runs code of a user's, measures on several datasets, and draws no random numbers. */
const measuring: Stage = {
  ...stages.find(({ name }) => name === 'gather')!,
  name: 'measuring',
  schema: z.strictObject({
    from: z.string().optional(),
    code: z.string().optional(),
    tasks: z.array(z.string()).default([]),
  }),
  inputs: { from: { kind: 'model', optional: true } },
  files: ['code'],
  sources: (config) => (config as { tasks: string[] }).tasks.map((source) => ({ key: 'tasks', source, use: 'text' })),
};

async function nodesOf(text: string): Promise<readonly PlanNode[]> {
  const options = { stages: [...stages, measuring], directory: join(folder, 'out'), baseDirectory: folder };
  const pipeline = parsePipeline(`name: demo\n${text}`, 'demo.yaml', []);
  return (await makePlan(pipeline, { ...options, contents: contentsBelow(folder) })).nodes;
}

const keyOf = async (text: string) => (await nodesOf(text)).at(-1)!.job.key;

describe('a content key', () => {
  const parts: KeyParts = {
    ...{ run: 'sft', machine: machineSchema.parse({}), seed: 1, datasets: {}, inputs: {} },
    config: { lr: 1e-3, norm: { of: 'pre', layers: 1 } },
  };
  const withoutEffect = ['saveEvery', 'sampleEvery', 'recordGradients', 'sinkingSteps', 'recompute', 'budgets'];

  it.each(realStages.map((stage) => [stage.name, stage] as const))(
    'of %s holds every key that has an effect',
    (_, stage) => {
      for (const name of Object.keys(
        z.toJSONSchema(stage.schema, { io: 'input', unrepresentable: 'any' }).properties!,
      )) {
        const { schema } = stage;
        const named = { schema, inputs: {}, datasets: {} };
        const key = (value: unknown) => contentKey({ ...parts, config: decidingKeys(named, { [name]: value }) });
        const isIn = key('one') !== key('another');
        expect(isIn, name).toBe(!withoutEffect.includes(name));
      }
    },
  );

  it('stays what it was where nothing that decides a result was changed', async () => {
    const file = join(import.meta.dirname, 'fixtures', 'content-keys.yaml');
    const pipeline = parsePipeline(await readFile(file, 'utf8'), file, []);
    const options = { stages: realStages, directory: join(folder, 'out'), baseDirectory: folder };
    const { nodes } = await makePlan(pipeline, { ...options, contents: contentsBelow(folder) });
    const kept = JSON.parse(await readFile(file.replace('.yaml', '.json'), 'utf8'));
    expect(Object.fromEntries(nodes.map(({ job: { id, key } }) => [id, key]))).toEqual(kept);
  });

  it('does not depend on the order of keys', () => {
    expect(contentKey({ ...parts, config: { norm: { layers: 1, of: 'pre' }, lr: 1e-3 } })).toBe(contentKey(parts));
  });

  it('holds the seed of what draws numbers, and the machine', () => {
    expect(contentKey({ ...parts, seed: 2 })).not.toBe(contentKey(parts));
    expect(contentKey({ ...parts, machine: machineSchema.parse({ precision: 'f32' }) })).not.toBe(contentKey(parts));
  });

  it('changes with rows that are held out', async () => {
    await mkdir(join(folder, 'datasets'));
    await writeFile(join(folder, 'datasets', 'mine.yaml'), 'train: train.txt\ntest: test.txt\n');
    for (const name of ['train', 'test']) await writeFile(join(folder, `${name}.txt`), 'some words of text');
    const text = 'stages:\n  a: { run: count, data: mine }\n';
    const before = await keyOf(text);
    expect(await keyOf(text)).toBe(before);
    await writeFile(join(folder, 'test.txt'), 'other words of text');
    expect(await keyOf(text)).not.toBe(before);
  });

  it('changes with each dataset of a key that names several', async () => {
    for (const name of ['a', 'b']) await writeFile(join(folder, `${name}.txt`), 'some words of text');
    const text = 'stages:\n  a: { run: measuring, tasks: [a.txt, b.txt] }\n';
    const keys = [await keyOf(text)];
    await writeFile(join(folder, 'a.txt'), 'other words of text');
    keys.push(await keyOf(text));
    await writeFile(join(folder, 'b.txt'), 'other words of text');
    keys.push(await keyOf(text));
    expect(new Set(keys).size).toBe(3);
  });

  it('changes with code, and not with its name', async () => {
    for (const name of ['a.js', 'b.js']) await writeFile(join(folder, name), 'export default () => 1;');
    const text = 'stages:\n  a: { run: measuring, code: a.js }\n';
    const before = await keyOf(text);
    await writeFile(join(folder, 'a.js'), 'export default () => 2;');
    expect(await keyOf(text)).not.toBe(before);
  });
});

describe('the content of a directory', () => {
  const hash = () => contentsBelow(folder).directory(folder);

  it('is that of all its files, to their last byte, with their names', async () => {
    const long = Buffer.alloc(600_000, 7);
    await writeFile(join(folder, 'a'), long);
    const hashes = [await hash()];
    long[599_999] = 8;
    await writeFile(join(folder, 'a'), long);
    hashes.push(await hash());
    await rm(join(folder, 'a'));
    await writeFile(join(folder, 'b'), long);
    hashes.push(await hash());
    expect(new Set(hashes).size).toBe(3);
    expect(await hash()).toBe(hashes[2]);
  });
});

describe('what draws no numbers itself', () => {
  const text = 'seeds: [1, 2]\nstages:\n  a: { run: count }\n  b: { run: measuring, from: a }\n';

  it('is there for each seed of what it reads, and once where that has none', async () => {
    const ids = (await nodesOf(text)).map(({ job }) => job.id);
    expect(ids).toEqual(['a/shared/seed-1', 'a/shared/seed-2', 'b/shared/seed-1', 'b/shared/seed-2']);
    const alone = await nodesOf('seeds: [1, 2]\nstages:\n  b: { run: measuring }\n');
    expect(alone.map(({ job }) => job.id)).toEqual(['b/shared/seed-1']);
  });

  it('has another key for each, as it reads something else', async () => {
    const [, , first, second] = await nodesOf(text);
    expect(first!.inputs).toEqual(['a/shared/seed-1']);
    expect(first!.job.key).not.toBe(second!.job.key);
  });
});
