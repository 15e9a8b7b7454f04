import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openDataset } from '../../src/data/dataset.ts';
import { RequestError } from '../../src/errors.ts';
import { type Contents, contentsBelow } from '../../src/pipeline/contents.ts';
import { parsePipeline } from '../../src/pipeline/pipeline-file.ts';
import { makePlan, type Plan } from '../../src/pipeline/plan.ts';
import { readPipelineText } from '../../src/pipeline/recipes.ts';
import { selectNodes } from '../../src/pipeline/selection.ts';
import { stages } from '../../src/stages/index.ts';

/** What every object and every function has without being asked. */
const inherited = [...new Set([...namesOf(Object.prototype), ...namesOf(Function.prototype), 'prototype'])];

function namesOf(prototype: object): string[] {
  return Object.getOwnPropertyNames(prototype);
}

let folder: string;
/** Each dataset is read once for all plans. */
let contents: Contents;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mixtune-names-'));
  contents = contentsBelow(folder);
});

afterAll(() => rm(folder, { recursive: true, force: true }));

async function plan(text: string, set: string[] = []): Promise<Plan> {
  const pipeline = parsePipeline(text, 'demo.yaml', set);
  const directory = join(folder, 'out');
  return makePlan(pipeline, { stages, directory, baseDirectory: folder, contents });
}

const demo = `name: demo
parameters: { words: a text }
variants:
  pre: { pretrain: { norm: pre } }
  mix: { pretrain: { norm: mix } }
stages:
  tokenizer: { run: tokenizer, data: "\${words}", vocabSize: 300 }
  pretrain: { run: pretrain, model: 1m, tokenizer: tokenizer, data: town/text }
`;
const words = 'words=town/text';
const reward = '  reward: { run: reward, from: pretrain, data: town/preferences }\n';
const ppo = (keys: string) => `  ppo: { run: ppo, from: pretrain, data: town/prompts, verify: exact, ${keys} }\n`;

/** Places where a person gives a name that something is looked up by. */
const refused: [place: string, attempt: (name: string) => unknown][] = [
  ['--set section', (name) => plan(demo, [words, `${name}=1`])],
  ['--set below a section', (name) => plan(demo, [words, `${name}.x=1`])],
  ['--set stage', (name) => plan(demo, [words, `stages.${name}.lr=1`])],
  ['--set stage as a whole', (name) => plan(demo, [words, `stages.${name}=1`])],
  ['--set key of a stage', (name) => plan(demo, [words, `stages.pretrain.${name}=1`])],
  ['--set inside a key of a stage', (name) => plan(demo, [words, `stages.pretrain.${name}.polluted=1`])],
  ['--set variant', (name) => plan(demo, [words, `variants.${name}.pretrain.lr=1`])],
  ['--set stage of a variant', (name) => plan(demo, [words, `variants.mix.${name}.lr=1`])],
  ['--set key of a variant', (name) => plan(demo, [words, `variants.mix.pretrain.${name}=1`])],
  ['--set inside a parameter', (name) => plan(demo, [words, `parameters.words.${name}.polluted=1`])],
  ['section', (name) => plan(`${demo}${name}: 1\n`, [words])],
  ['parameter that is not declared', (name) => plan(demo.replace(/\{words\}/, `{${name}}`), [words])],
  ['stage that a variant touches', (name) => plan(demo.replace('pre: { pretrain:', `pre: { ${name}:`), [words])],
  [
    'key of a stage',
    (name) => plan(`${demo}  sft: { run: sft, from: pretrain, data: town/instructions, ${name}: 1 }\n`, [words]),
  ],
  ['what runs', (name) => plan(`${demo}  mine: { run: ${name} }\n`, [words])],
  ['input', (name) => plan(`${demo}  sft: { run: sft, from: ${name}, data: town/instructions }\n`, [words])],
  ['dataset', (name) => plan(`${demo}  sft: { run: sft, from: pretrain, data: ${name} }\n`, [words])],
  ['size of a model', (name) => plan(demo.replace('1m', name), [words])],
  ['norm placement', (name) => plan(demo.replace('norm: mix', `norm: ${name}`), [words])],
  ['backend', (name) => plan(demo, [words, `stages.pretrain.backend=${name}`])],
  [
    'loss',
    (name) => plan(`${demo}  dpo: { run: dpo, from: pretrain, data: town/preferences, loss: ${name} }\n`, [words]),
  ],
  ['preset', (name) => plan(demo + ppo(`preset: ${name}`), [words])],
  ['verification', (name) => plan(demo + ppo('steps: 1').replace('exact', name), [words])],
  ['reward model', (name) => plan(demo + reward + ppo(`reward: ${name}`), [words])],
  ['task', (name) => plan(`${demo}  measure: { run: evaluate, from: pretrain, tasks: [${name}] }\n`, [words])],
  ['kind of a task', (name) => openDataset(`${name}:town/text`, 'question')],
  [
    'dataset of a task',
    (name) => plan(`${demo}  measure: { run: evaluate, from: pretrain, tasks: ["loss:${name}"] }\n`, [words]),
  ],
  ['recipe', (name) => readPipelineText(name)],
  ['--only', async (name) => selectNodes(await plan(demo, [words]), { only: [name] })],
  ['--start-at', async (name) => selectNodes(await plan(demo, [words]), { startAt: name })],
  ['role', (name) => rows('row.jsonl', { messages: [{ role: name, content: 'Hello' }] })],
  ['format', (name) => described(`path: text.jsonl\nformat: ${name}\n`)],
  ['key of a descriptor', (name) => described(`path: text.jsonl\n${name}: x\n`)],
  ['column of a format', (name) => described(`path: text.jsonl\ncolumns: { ${name}: text }\n`)],
  ['column of a file', (name) => described(`path: text.jsonl\ncolumns: { text: ${name} }\n`)],
];

async function rows(file: string, row: unknown): Promise<unknown> {
  await writeFile(join(folder, file), `${JSON.stringify(row)}\n`);
  return openDataset(file, 'messages', { baseDirectory: folder, split: 'train' });
}

async function described(text: string): Promise<unknown> {
  await mkdir(join(folder, 'datasets'), { recursive: true });
  await writeFile(join(folder, 'datasets/mine.yaml'), text);
  await writeFile(join(folder, 'text.jsonl'), '{"words":"Hello"}\n');
  return openDataset('mine', 'text', { baseDirectory: folder, split: 'train' });
}

it.each(refused)('a name that every object inherits is not taken for a %s', { timeout: 60_000 }, async (_, attempt) => {
  for (const name of inherited) {
    const error = await Promise.resolve()
      .then(() => attempt(name))
      .then(
        () => undefined,
        (reason: unknown) => reason,
      );
    expect(error, name).toBeInstanceOf(RequestError);
    expect((error as Error).message, name).not.toMatch(/native code|\[object|undefined/);
  }
  expect(Object.prototype).not.toHaveProperty('polluted');
  expect(namesOf(Object.prototype)).toHaveLength(12);
});

const beginsWithLetter = inherited.filter((name) => /^[a-z]/i.test(name));

it.each(beginsWithLetter)('%s is a name as any other for a stage, a variant and a parameter', async (name) => {
  const text = demo.replaceAll('words', name).replaceAll('pretrain:', `${name}:`).replace('mix: {', `x-${name}: {`);
  const { nodes } = await plan(`${text.replace('pre: {', `${name}: {`)}`, [`${name}=town/text`]);
  expect(nodes.map(({ job }) => job.id)).toEqual([
    'tokenizer/shared/seed-1',
    `${name}/${name}/seed-1`,
    `${name}/x-${name}/seed-1`,
  ]);
});

it('tells a name that cannot be used once', async () => {
  await expect(plan(demo, [words, 'stages.__proto__.x=1'])).rejects.toThrow(
    /^1 problem in demo.yaml, nothing was started\n\n {2}--set stages.__proto__.x: the name `__proto__` cannot be used$/,
  );
});
