import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openDataset } from '../../src/data/dataset.ts';
import { contentsBelow } from '../../src/pipeline/contents.ts';
import { parsePipeline } from '../../src/pipeline/pipeline-file.ts';
import { makePlan } from '../../src/pipeline/plan.ts';
import { readPipelineText } from '../../src/pipeline/recipes.ts';
import { stages } from '../../src/stages/index.ts';
import { folder, hold } from './harness.ts';
import { mutateBytes, mutateText, mutateYaml } from './mutators.ts';

const contents = contentsBelow(folder);
const options = { stages, directory: join(folder, 'out'), baseDirectory: folder, contents };

const pipeline = `name: demo
description: two models
parameters: { words: a text }
seeds: [1, 2]
variants:
  pre: { pretrain: { norm: pre } }
  mix: { pretrain: { norm: mix, postLayers: 25% } }
stages:
  tokenizer: { run: tokenizer, data: town/text, vocabSize: 300 }
  pretrain: &base { run: pretrain, model: 1m, tokenizer: tokenizer, data: town/text, steps: 10, lr: 1e-3 }
  sft: { run: sft, from: pretrain, data: town/instructions, epochs: 1.5, evalEvery: 5, best: loss }
  ppo: { run: ppo, from: sft, data: town/prompts, verify: exact, preset: trl, steps: 2 }
  compare: { run: compare, of: [pretrain, sft], tasks: [town/text, "choice:town/questions"] }
`;
const [quickstart, ownFiles] = [
  (await readPipelineText('quickstart')).text,
  (await readPipelineText('own-files')).text,
];

const descriptors = [
  'description: rows\npath: rows.jsonl\nformat: alpaca\ncolumns: { instruction: question, output: reply }\nholdOut: 0.25\n',
  'train: rows.jsonl\ntest: rows.jsonl\nformat: alpaca\ncolumns: { instruction: question, output: reply }\n',
];

mkdirSync(join(folder, 'datasets'));
const row = JSON.stringify({ question: 'Who?', reply: 'Anna.' });
writeFileSync(join(folder, 'rows.jsonl'), `${row}\n`.repeat(8));

/** A number of a plan that no stage could use. */
function badNumber(config: Readonly<Record<string, unknown>>): string | undefined {
  const bad = Object.entries(config).find(([, value]) => typeof value === 'number' && !Number.isFinite(value));
  return bad && `${bad[0]} is ${bad[1]}`;
}

hold([
  {
    name: 'pipeline',
    samples: [pipeline, quickstart, ownFiles],
    mutators: [mutateYaml, mutateYaml, mutateText, mutateBytes],
    async read(input) {
      const file = join(folder, 'mine.yaml');
      writeFileSync(file, input);
      const { text } = await readPipelineText(file);
      const values = ['text', 'instructions', 'preferences', 'questions'].map((kind) => `${kind}=town/${kind}`);
      const set = text.includes('${') ? values : [];
      return makePlan(parsePipeline(text, 'mine.yaml', /^parameters:\n/m.test(text) ? set : []), options).then(
        ({ nodes }) => nodes,
      );
    },
    wrong: (nodes: Awaited<ReturnType<typeof makePlan>>['nodes']) =>
      nodes.map(({ config }) => badNumber(config)).find((found) => found !== undefined),
  },
  {
    name: 'descriptor',
    samples: descriptors,
    mutators: [mutateYaml, mutateYaml, mutateText, mutateBytes],
    async read(input) {
      writeFileSync(join(folder, 'datasets/mine.yaml'), input);
      return openDataset('mine', 'messages', { baseDirectory: folder, split: 'train' });
    },
  },
  {
    name: 'set',
    samples: [
      'stages.pretrain.lr=1e-4',
      'words=x.txt',
      'variants.mix.pretrain={ norm: pre }',
      'seeds=[1, 2]',
      'name=x',
    ],
    mutators: [mutateText, mutateBytes],
    read: (input) => makePlan(parsePipeline(pipeline, 'mine.yaml', [input.toString('utf8')]), options),
  },
]);
