import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readModelDirectory } from '../../src/checkpoint/model-directory.ts';
import type { ModelConfig } from '../../src/model/config.ts';
import { folderWith, mix, mixReversed, post, pre } from './made-models.ts';

describe('the placement', () => {
  const named = (config: ModelConfig, json: Record<string, unknown>) =>
    folderWith(config, { model_type: 'llama', norm: undefined, post_layers: undefined, ...json });

  test("authors' checkpoints do not say it: it is inferred and said", async () => {
    const model = await readModelDirectory(await named(mix, {}));
    expect(model.config).toEqual(mix);
    expect(model.notes).toEqual([
      'norm placement: mix (Post-LN in the first 2 of 3 layers, Pre-LN in the rest), from the tensor names',
    ]);
    const reversed = await readModelDirectory(await named(mixReversed, {}));
    expect(reversed.config).toEqual(mixReversed);
    expect(reversed.notes[0]).toMatch(
      /mix-reversed \(Pre-LN in the first 1 of 3 layers, Post-LN in the rest\), from the/,
    );
  });

  test('names that mean several placements are guessed and said, or asked for where a guess will not do', async () => {
    const folder = await named(post, {});
    const guess = await readModelDirectory(folder);
    expect(guess.config).toEqual(post);
    expect(guess.notes).toEqual([
      'norm placement: post (Post-LN in all 3 layers), a guess: the tensors of deepnorm have the same names',
    ]);
    await expect(readModelDirectory(folder, { certain: true })).rejects.toThrow(
      /the files do not say whether it is post or deepnorm.*\n.*mixtune export MODEL --norm post\|deepnorm /,
    );
    const deepnorm = { name: 'deepnorm', settings: { alpha: 6 ** 0.25 } };
    const said = await readModelDirectory(folder, { norm: 'deepnorm', certain: true });
    expect(said.config.norm).toEqual(deepnorm);
    expect(said.notes).toEqual([]);
    expect((await readModelDirectory(await named(post, { norm: 'deepnorm' }))).config.norm).toEqual(deepnorm);
  });

  test("a plain Llama is Pre-LN, and says so; beside a trainer's state it may be LNS", async () => {
    const folder = await named(pre, {});
    const plain = await readModelDirectory(folder, { certain: true });
    expect(plain.config).toEqual(pre);
    expect(plain.notes).toEqual([
      'norm placement: pre (Pre-LN in all 3 layers), as in every model of this type that states none',
    ]);
    await writeFile(join(folder, 'training_state.json'), '{"global_step": 10000}');
    expect((await readModelDirectory(folder)).notes[0]).toContain('a guess: the tensors of lns have the same names');
    await expect(readModelDirectory(folder, { certain: true })).rejects.toThrow(/whether it is pre or lns/);
    expect((await readModelDirectory(folder, { norm: 'lns', certain: true })).config.norm.name).toBe('lns');
  });

  test('the tensors of norms tell what kind they are, whatever the placement', async () => {
    const layer: ModelConfig = { ...mix, normKind: 'layer' };
    expect((await readModelDirectory(await named(layer, {}))).config).toEqual(layer);
    expect((await readModelDirectory(await named(layer, { norm_kind: 'layer' }))).config).toEqual(layer);
    await expect(readModelDirectory(await named(mix, { norm_kind: 'layer' }))).rejects.toThrow(
      /norm_kind: "layer", but the tensors of the last norm are those of rms \(RMSNorm\)/,
    );
    await expect(readModelDirectory(await named(layer, { norm_kind: 'rms' }))).rejects.toThrow(
      /those of layer \(Layer/,
    );
  });

  test('norms of queries and keys are stated, and those of HybridNorm are not taken for them', async () => {
    const normed: ModelConfig = { ...mix, family: { name: 'llama', settings: { qkNorm: true } } };
    expect((await readModelDirectory(await named(normed, { model_type: 'mixln', qk_norm: true }))).config).toEqual(
      normed,
    );
    await expect(readModelDirectory(await named(normed, { qk_norm: true }))).rejects.toThrow(
      /qk_norm: is true; a plain Llama has no norms of queries and keys/,
    );
    await expect(readModelDirectory(await named(normed, {}))).rejects.toThrow(
      /layers\.0: its norms \(.*k_norm.*q_norm/,
    );
    for (const preLayers of [0, 1, 3]) {
      const hybrid: ModelConfig = { ...pre, norm: { name: 'hybrid', settings: { preLayers } } };
      expect((await readModelDirectory(await named(hybrid, {}))).config).toEqual(hybrid);
    }
  });

  test('what is said of a model must not contradict its files', async () => {
    await expect(readModelDirectory(await named(mix, {}), { norm: 'pre' })).rejects.toThrow(
      /pre was given, but the tensors are those of mix/,
    );
    await expect(readModelDirectory(await named(post, { norm: 'deepnorm' }), { norm: 'post' })).rejects.toThrow(
      /post was given, but the files say deepnorm/,
    );
  });

  test.each<[ModelConfig, Record<string, unknown>, RegExp]>([
    [
      mix,
      { norm: 'pre' },
      /config\.json says Pre-LN in all 3 layers, but the tensor names are those of Post-LN in the first 2/,
    ],
    [
      pre,
      { norm: 'mix', post_layers: 1 },
      /config\.json says Post-LN in the first 1 of 3 layers.* names are those of Pre-LN in all/,
    ],
    [mix, { norm: 'mix', post_layers: 1 }, /first 1 of 3 layers.*first 2 of 3 layers/],
    [mix, { norm: 'mix', post_layers: 4 }, /post_layers: 4; a whole number from 0 to 3/],
    [mix, { norm: 'mix' }, /post_layers: missing/],
    [mix, { norm: 'sandwiched' }, /norm: "sandwiched" is not one of pre, post, mix/],
    [
      mix,
      { norm: 'sandwich' },
      /config\.json says Sandwich-LN in all 3 layers, but the tensor names are those of Post/,
    ],
    [post, { norm: 'deepnorm', deepnorm_alpha: -1 }, /deepnorm_alpha: -1; a number above 0 is needed/],
    [post, { norm: 'deepnorm', deepnorm_alpha: 'x' }, /deepnorm_alpha: "x"; a number above 0 is needed/],
    [post, { norm: 'post', post_layers: 2 }, /post_layers: 2 contradicts norm post, which means 3 of 3/],
  ])('$norm.name tensors under %o are refused', async (config, json, says) => {
    await expect(readModelDirectory(await named(config, json))).rejects.toThrow(says);
  });

  test('metadata of the weights is held against the names too', async () => {
    const folder = await folderWith(
      mix,
      { norm: undefined, post_layers: undefined },
      { metadata: { norm: 'mix', post_layers: '1' } },
    );
    await expect(readModelDirectory(folder)).rejects.toThrow(/metadata of the weights says Post-LN in the first 1/);
  });

  test('metadata of the weights is held against the config where names do not tell', async () => {
    const folder = await folderWith(pre, { norm: 'pre' }, { metadata: { norm: 'lns' } });
    await expect(readModelDirectory(folder)).rejects.toThrow(
      /config\.json says Pre-LN in all 3 layers, but the metadata of the weights says Pre-LN scaled by 1\/√l/,
    );
  });

  test.each<[string, (name: string) => string[], RegExp]>([
    [
      'a layer without norms',
      (name) => (name.includes('.0.') && name.includes('norm') ? [] : [name]),
      /model\.layers\.0: its norms \(none\)/,
    ],
    [
      'a router',
      (name) => (name.endsWith('0.input_layernorm.weight') ? [name, 'model.layers.0.router.weight'] : [name]),
      /layers\.0: its norms \(.*router\)/,
    ],
    [
      'Post-LN before and after Pre-LN',
      (name) => [
        name.replace(/([02])\.post_attention_/, '$1.post_feedforward_').replace(/([02])\.input_/, '$1.post_attention_'),
      ],
      /model\.layers\.2: is Post-LN after the Pre-LN layer 1; no supported placement has that order/,
    ],
    [
      'a norm of the embedding of a Pre-LN model',
      (name) => (name === 'model.norm.weight' ? [name, 'model.embed_layernorm.weight'] : [name]),
      /model\.embed_layernorm\.weight: no supported placement of these layers has a norm of the embedding/,
    ],
  ])('%s is refused by its name', async (_, rename, says) => {
    await expect(readModelDirectory(await folderWith(pre, {}, { rename }))).rejects.toThrow(says);
  });
});
