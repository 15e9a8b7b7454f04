import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { contentsBelow } from '../../src/pipeline/contents.ts';
import { parsePipeline } from '../../src/pipeline/pipeline-file.ts';
import { makePlan, type Plan } from '../../src/pipeline/plan.ts';
import { readPipelineText, recipeNames } from '../../src/pipeline/recipes.ts';
import { stages } from '../../src/stages/index.ts';

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mixtune-shipped-'));
});

afterAll(() => rm(folder, { recursive: true, force: true }));

function plan(text: string, file: string, set: string[] = []): Promise<Plan> {
  const pipeline = parsePipeline(text, file, set);
  return makePlan(pipeline, { stages, directory: folder, baseDirectory: folder, contents: contentsBelow(folder) });
}

describe('shipped recipes', () => {
  it.each(recipeNames())('%s has a plan, once its parameters have values', async (name) => {
    const { text, file } = await readPipelineText(name);
    const files = {
      text: 'words.txt',
      heldOut: 'more-words.txt',
      instructions: 'instructions.jsonl',
      preferences: 'pairs.jsonl',
      questions: 'questions.jsonl',
    };
    for (const file of [files.text, files.heldOut]) {
      await writeFile(join(folder, file), 'One sentence.\n\nAnother sentence.\n'.repeat(100));
    }
    await writeFile(join(folder, files.instructions), '{"instruction":"Say hello.","input":"","output":"Hello."}\n');
    await writeFile(join(folder, files.preferences), '{"prompt":"Hello?","chosen":"Hello.","rejected":"No."}\n');
    await writeFile(join(folder, files.questions), '{"question":"One or two?","choices":["one","two"],"answer":0}\n');
    const declared = /^parameters:\n((?: {2}\w.*\n)*)/m.exec(text)?.[1] ?? '';
    const names = [...declared.matchAll(/^ {2}(\w+):/gm)].map((match) => match[1]!);
    const set = names.map((parameter) => `${parameter}=${files[parameter as keyof typeof files]}`);
    const { nodes } = await plan(text, file, set);
    expect(nodes.length).toBeGreaterThan(1);
  });
});

const beginning = `name: demo
stages:
  tokenizer: { run: tokenizer, data: town/text, vocabSize: 300 }
  pretrain: { run: pretrain, model: 1m, tokenizer: tokenizer, data: town/text }
`;

describe('what is wrong between stages', () => {
  it('includes a stage that makes something else than what is needed', async () => {
    const text = `${beginning}  sft: { run: sft, from: tokenizer, data: town/instructions }
  compare: { run: compare, of: [pretrain, measured], tasks: [town/text] }
  measured: { run: evaluate, from: pretrain, tasks: [town/text] }
`;
    await expect(plan(text, 'demo.yaml')).rejects.toThrow(
      /sft\.from: stage `tokenizer` makes no model[\s\S]+stage `measured` makes no model/,
    );
  });

  it('includes tasks and the data that they name', async () => {
    const text = `${beginning}  measured: { run: evaluate, from: pretrain, tasks: [town/txt] }
  other: { run: evaluate, from: pretrain, tasks: ["perplexity:missing.txt"] }
`;
    const error = String(await plan(text, 'demo.yaml').catch((caught: unknown) => caught));
    expect(error).toContain('line 5  stages.measured.tasks: `town/txt` is no task');
    expect(error).toContain('line 6  stages.other.tasks: missing.txt');
  });

  it('includes a variant that nobody can play', async () => {
    const variants = 'variants: { pre: { pretrain: { norm: pre } }, mix: { pretrain: { norm: mix } } }\n';
    const text = `${beginning}  compare: { run: compare, of: [pretrain], tasks: ["winRate:town/questions"], againstVariant: pro }
${variants}`;
    await expect(plan(text, 'demo.yaml')).rejects.toThrow(
      /line 5 {2}stages\.compare\.againstVariant: there is no variant `pro`[\s\S]+did you mean `pre`/,
    );
    const { nodes } = await plan(text.replace('pro }', 'mix }'), 'demo.yaml');
    expect(nodes.at(-1)!.job.id).toBe('compare/shared/seed-1');
  });

  it('includes a primary metric of a stage that is not compared, or that no task measures', async () => {
    const text = `${beginning}  compare:
    run: compare
    of: [pretrain]
    tasks: [town/text, town/questions]
    primary: { sft: town/text/perplexity, pretrain: town/questions/exactmach }
`;
    await expect(plan(text, 'demo.yaml')).rejects.toThrow(
      /line 9 {2}stages\.compare\.primary: `of` does not name `sft`[\s\S]+no task measures `town\/questions\/exactmach`, which should decide after `pretrain`[\s\S]+did you mean `town\/questions\/exactMatch`/,
    );
  });

  it('includes more Post-LN layers than the model has', async () => {
    await expect(
      plan(beginning, 'demo.yaml', ['stages.pretrain.norm=mix', 'stages.pretrain.postLayers=5']),
    ).rejects.toThrow(/--set stages\.pretrain\.postLayers: 5 Post-LN layers, but the model has 4 layers/);
  });
});

it('gives a measurement another key when what it measures on changes', async () => {
  const text = `${beginning}  measured: { run: evaluate, from: pretrain, tasks: ["perplexity:measured.txt"] }\n`;
  const keyOf = async () => (await plan(text, 'demo.yaml')).nodes.at(-1)!.job.key;
  await writeFile(join(folder, 'measured.txt'), 'One text.');
  const before = await keyOf();
  expect(await keyOf()).toBe(before);
  await writeFile(join(folder, 'measured.txt'), 'Another text.');
  expect(await keyOf()).not.toBe(before);
});

it('a key changes with the content of a reward function, which has to be there', async () => {
  const file = join(folder, 'reward.js');
  const text = `${beginning}  ppo: { run: ppo, from: pretrain, data: town/prompts, rewardFunction: reward.js }\n`;
  const keys = async () => (await plan(text, 'demo.yaml')).nodes.map(({ job }) => job.key);
  await expect(keys()).rejects.toThrow('cannot be read');
  await writeFile(file, 'export default () => 1;');
  const [tokenizer, pretrain, ppo] = await keys();
  await writeFile(file, 'export default () => 2;');
  const changed = await keys();
  expect(changed.slice(0, 2)).toEqual([tokenizer, pretrain]);
  expect(changed[2]).not.toBe(ppo);
});
