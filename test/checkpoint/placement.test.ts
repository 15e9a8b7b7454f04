import { describe, expect, test } from 'vitest';
import { readModelDirectory } from '../../src/checkpoint/model-directory.ts';
import type { ModelConfig } from '../../src/model/config.ts';
import { folderWith, mix, post, pre } from './made-models.ts';

describe('the placement', () => {
  const named = (config: ModelConfig, json: Record<string, unknown>) =>
    folderWith(config, { model_type: 'llama', norm: undefined, post_layers: undefined, ...json });

  test("authors' checkpoints do not say it: it is inferred and said", async () => {
    const model = await readModelDirectory(await named(mix, {}));
    expect(model.config).toEqual(mix);
    expect(model.notes).toEqual([
      'norm placement: Post-LN in the first 2 of 3 layers, Pre-LN in the rest; inferred from the tensor names, the config does not say',
    ]);
    expect((await readModelDirectory(await named(post, {}))).notes[0]).toMatch(/all 3 layers.*DeepNorm/);
    expect((await readModelDirectory(await named(pre, {}))).notes).toEqual([]);
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
    [mix, { norm: 'sandwich', post_layers: 2 }, /norm: "sandwich" is not one of pre, post, mix/],
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

  test.each<[string, (name: string) => string[], RegExp]>([
    ['Sandwich-LN', (name) => sandwich(name), /model\.layers\.0: .*Sandwich-LN, which is not supported/],
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
      'Post-LN after Pre-LN',
      (name) => [name.replace('2.post_attention_', '2.post_feedforward_').replace('2.input_', '2.post_attention_')],
      /model\.layers\.2: is Post-LN after the Pre-LN layer 1; no supported placement has that order/,
    ],
  ])('%s is refused by its name', async (_, rename, says) => {
    await expect(readModelDirectory(await folderWith(pre, {}, { rename }))).rejects.toThrow(says);
  });
});

function sandwich(name: string): string[] {
  if (!name.includes('post_attention_layernorm')) return [name];
  return ['post_attention', 'pre_feedforward', 'post_feedforward'].map((norm) => name.replace('post_attention', norm));
}
