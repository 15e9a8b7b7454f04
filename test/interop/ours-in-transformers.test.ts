import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { writeModelDirectory } from '../../src/checkpoint/model-directory.ts';
import { writeWeights } from '../../src/checkpoint/sharded.ts';
import type { ModelConfig } from '../../src/model/config.ts';
import { llamaFamily } from '../../src/model/families/llama.ts';
import { withPlacement } from '../../src/model/norm.ts';
import { checkpointTensors } from '../../src/model/parameters.ts';
import { placements } from '../../src/model/placements/index.ts';
import { trainTokenizer } from '../../src/tokenizer/train.ts';
import { python, transformersReleases } from './environment.ts';
import { inTemporaryFolder, largestDifference, ourReading, randomWeights, tinyConfig, tokens } from './tiny-models.ts';

interface TheirReading {
  transformers: string;
  class: string;
  report: Record<string, string[]>;
  warnings: string[];
  logits: number[][];
  hiddenStates: number;
  generated: number[];
}

const cases = {
  pre: { config: tinyConfig, dtype: 'f32' },
  mix: { config: { ...tinyConfig, norm: { name: 'mix', settings: { postLayers: 1 } } }, dtype: 'f32' },
  'pre tied': { config: { ...tinyConfig, tieWordEmbeddings: true }, dtype: 'f32' },
  'mix tied bf16': {
    config: { ...tinyConfig, norm: { name: 'mix', settings: { postLayers: 3 } }, tieWordEmbeddings: true },
    dtype: 'bf16',
  },
  ...Object.fromEntries(
    placements
      .filter(({ name }) => name !== 'pre' && name !== 'mix')
      .map(({ name }) => [name, { config: withPlacement(tinyConfig, name), dtype: 'f32' as const }]),
  ),
  'hybrid with a Pre-LN layer': { config: withPlacement(tinyConfig, 'hybrid', { preLayers: 1 }), dtype: 'f32' },
  'pre with norms of queries and keys': { config: { ...tinyConfig, family: llamaFamily(true) }, dtype: 'f32' },
  'sandwich with norms of queries and keys and LayerNorm': {
    config: { ...withPlacement(tinyConfig, 'sandwich'), normKind: 'layer', family: llamaFamily(true) },
    dtype: 'f32',
  },
  ...Object.fromEntries(
    ['pre', 'mix', 'lns', 'peri', 'hybrid'].map((name) => [
      `${name} with LayerNorm`,
      { config: { ...withPlacement(tinyConfig, name), normKind: 'layer' }, dtype: 'f32' as const },
    ]),
  ),
  'mix with wide heads f16': {
    config: { ...tinyConfig, norm: { name: 'mix', settings: { postLayers: 2 } }, headDim: 16 },
    dtype: 'f16',
  },
} as const;

const isStock = ({ norm, normKind, family }: ModelConfig) =>
  norm.name === 'pre' && normKind === undefined && !family.settings.qkNorm;

const text =
  'A small town has a mill, a bakery and a bridge. The mill is old; the bakery is new. Nobody crosses at night.';
const texts = ['The bakery is old.', ' two  spaces\n', 'naïve 日本 🙂', 'Hello<|end|>', ''];
const messages = [
  { role: 'system', content: 'Be brief.' },
  { role: 'user', content: 'Where is the mill?' },
];

test.each(transformersReleases)('transformers %s reads our models and agrees on logits and tokens', (release) =>
  inTemporaryFolder(async (folder) => {
    const directories: string[] = [];
    for (const [name, { config, dtype }] of Object.entries(cases)) {
      const directory = join(folder, name.replaceAll(' ', '-'));
      await mkdir(directory);
      await writeModelDirectory(directory, { config, dtype, read: randomWeights(config), eosIds: [2], padId: 1 });
      directories.push(directory);
    }
    directories.push(await shardedDirectory(join(folder, 'sharded')));
    const theirs = await python<TheirReading[]>(release, 'run_model.py', [JSON.stringify(tokens), ...directories]);
    for (const [i, directory] of directories.entries()) {
      const { logits, ...reading } = theirs[i]!;
      const ours = await ourReading(directory);
      expect.soft(reading, directory).toEqual({
        transformers: release,
        class: isStock(ours.config) ? 'LlamaForCausalLM' : 'MixLNForCausalLM',
        report: {},
        warnings: [],
        hiddenStates: ours.config.layers + 1,
        generated: reading.generated.includes(2) ? [...ours.generated, 2] : ours.generated,
      });
      expect.soft(largestDifference(ours.logits, logits), directory).toBeLessThan(1e-4);
    }
  }),
);

test.each(transformersReleases)('AutoTokenizer of transformers %s reads our tokenizer beside every model', (release) =>
  inTemporaryFolder(async (folder) => {
    const tokenizer = trainTokenizer([text], { vocabSize: 290 });
    const directories: string[] = [];
    for (const { config } of [cases.pre, cases.mix]) {
      const directory = join(folder, config.norm.name);
      await mkdir(directory);
      await writeModelDirectory(directory, { config, dtype: 'f32', read: randomWeights(config), tokenizer });
      directories.push(directory);
    }
    const args = [JSON.stringify(texts), JSON.stringify(messages), ...directories];
    const theirs = await python<Record<string, unknown>[]>(release, 'run_tokenizer.py', args);
    const chat = '<|system|>Be brief.<|end|><|user|>Where is the mill?<|end|><|assistant|>';
    for (const reading of theirs) {
      expect(reading).toEqual({
        ids: texts.map((text) => [...tokenizer.encode(text)]),
        decoded: texts,
        eos: tokenizer.eosId,
        pad: tokenizer.padId,
        chat,
      });
    }
  }),
);

async function shardedDirectory(directory: string): Promise<string> {
  const { config } = cases.mix;
  await mkdir(directory);
  await writeModelDirectory(directory, { config, dtype: 'f32', read: randomWeights(config), eosIds: [2], padId: 1 });
  await rm(join(directory, 'model.safetensors'));
  const tensors = checkpointTensors(config).map(({ name, shape }) => ({ name, shape, dtype: 'F32' as const }));
  await writeWeights(directory, tensors, randomWeights(config), {}, 50_000);
  return directory;
}
