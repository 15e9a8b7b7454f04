import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadModel } from '../../src/checkpoint/load-model.ts';
import { readModelDirectory } from '../../src/checkpoint/model-directory.ts';
import { generate } from '../../src/generation/generate.ts';
import { placements } from '../../src/model/placements/index.ts';
import { pretrainStage } from '../../src/stages/pretrain.ts';
import type { StageRun } from '../../src/stages/stage.ts';
import { openBackend } from '../../src/tensor/backends/open.ts';
import { trainTokenizer } from '../../src/tokenizer/train.ts';
import { exported, lastLogits, type Trained, trained, withoutPlacement } from './stage-runs.ts';

const text = 'The mill stands by the river. Anna bakes bread in the morning and sells it at noon. '.repeat(20);
const tokenizer = trainTokenizer([text], { vocabSize: 290 });
/** Placements that share their tensors' names, each with the one that is guessed where nothing states which. */
const guessed: Record<string, string> = { pre: 'pre', lns: 'pre', post: 'post', deepnorm: 'post' };

let folder: string;
let run: StageRun;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mixtune-placements-'));
  const { backend } = await openBackend({ precision: 'f32' });
  await mkdir(join(folder, 'tokenizer'));
  await tokenizer.save(join(folder, 'tokenizer'));
  await writeFile(join(folder, 'text.txt'), text);
  const inputs = { tokenizer: [{ name: 'tokenizer', directory: join(folder, 'tokenizer') }] };
  run = { backend, seed: 1, directory: folder, baseDirectory: folder, inputs, log: () => {} };
});
afterAll(async () => {
  await run.backend.dispose();
  await rm(folder, { recursive: true });
});

/** Every placement, and what all of them can have besides. */
const cases: { title: string; norm: string; keys?: object }[] = [
  ...placements.map(({ name }) => ({ title: name, norm: name })),
  { title: 'pre with norms of queries and keys', norm: 'pre', keys: { qkNorm: true } },
  { title: 'mix with LayerNorm', norm: 'mix', keys: { normKind: 'layer' } },
];

describe.each(cases)('norm $title', ({ title, norm, keys = {} }) => {
  let own: StageRun;
  let whole: Trained;
  const config = pretrainStage.schema.parse({
    ...{ tokenizer: 'tokenizer', data: 'text.txt', model: '1m', hiddenSize: 32, norm, length: 8, steps: 3 },
    ...{ batchSize: 1, lr: 1e-2, ...keys },
  });
  beforeAll(async () => {
    own = { ...run, directory: join(folder, title.replaceAll(' ', '-')) };
    await mkdir(own.directory);
    whole = await trained(pretrainStage, config, own, 3);
  });

  test('trains, and goes on from a saved state to the same bits', async () => {
    const half = await trained(pretrainStage, config, own, 1);
    const rest = await trained(pretrainStage, config, own, 3, half.saved);
    expect(whole.losses.at(-1)).not.toBe(whole.losses[0]);
    expect([...half.losses, ...rest.losses]).toEqual(whole.losses);
    const weights = (directory: string) => readFile(join(directory, 'model.safetensors'));
    expect((await weights(rest.final)).equals(await weights(whole.final))).toBe(true);
  });

  test('is inferred from the names of tensors, or asked for where they mean several', async () => {
    const { norm: stated } = (await readModelDirectory(whole.final)).config;
    expect(stated.name).toBe(norm);
    const bare = await withoutPlacement(whole.final, join(own.directory, 'bare'));
    const read = await readModelDirectory(bare);
    expect(read.config.norm.name).toBe(guessed[norm] ?? norm);
    expect((await readModelDirectory(bare, { norm })).config.norm).toEqual(stated);
    const certain = readModelDirectory(bare, { certain: true });
    const { extra } = read;
    // What is written as a plain Llama is one.
    if (guessed[norm] && extra.modelType !== 'llama')
      await expect(certain).rejects.toThrow(/--norm (pre\|lns|post\|deepnorm)/);
    else expect((await certain).config.norm).toEqual(stated);
  });

  test('exports, and says which it is', async () => {
    const { config, metadata } = await readModelDirectory(await exported(whole.final, own));
    expect(config.norm).toEqual((await readModelDirectory(whole.final)).config.norm);
    expect(metadata.get('norm')).toBe(norm);
    expect(await readFile('src/checkpoint/modeling_mixln.py', 'utf8')).toContain(`"${norm}": `);
  });

  test('decodes to the tokens that training gives the highest logits', async () => {
    const { model } = await loadModel(whole.final, run.backend);
    const prompt = tokenizer.encode('Anna bakes');
    const [generation] = await generate(model, [prompt], { maxNewTokens: 5, stopIds: [] });
    const sequence = [...prompt];
    for (const token of generation!.tokens) {
      const logits = await lastLogits(model, sequence);
      expect(token).toBe(logits.indexOf(Math.max(...logits)));
      sequence.push(token);
    }
  });
});
