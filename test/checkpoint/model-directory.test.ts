import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { type ModelToWrite, readModelDirectory, writeModelDirectory } from '../../src/checkpoint/model-directory.ts';
import { openSafetensors } from '../../src/checkpoint/safetensors-reader.ts';
import { type TensorSpec, writeSafetensors } from '../../src/checkpoint/safetensors-writer.ts';
import { openWeights, writeWeights } from '../../src/checkpoint/sharded.ts';
import { RequestError } from '../../src/errors.ts';
import type { ModelConfig } from '../../src/model/config.ts';
import { checkpointTensors } from '../../src/model/parameters.ts';
import { folderWith, mix, post, pre, refusal, specsOf, weightsOf, writeConfig } from './made-models.ts';
import { temporaryFolder } from './temporary.ts';

describe('written and read again', () => {
  test.each([pre, mix, post, { ...mix, tieWordEmbeddings: true }])('$norm, tied $tieWordEmbeddings', async (config) => {
    const folder = await temporaryFolder();
    await writeModelDirectory(folder, {
      config,
      read: weightsOf(config),
      dtype: 'f32',
      bosId: 1,
      eosIds: [2, 5],
      padId: 0,
    });
    const model = await readModelDirectory(folder);
    expect(model.config).toEqual(config);
    expect(model.notes).toEqual([]);
    expect(model.extra).toMatchObject({ bosId: 1, eosIds: [2, 5], padId: 0 });
    for (const { name } of checkpointTensors(config))
      expect(await model.read(name)).toEqual(await weightsOf(config)(name));
    expect((await readdir(folder)).includes('modeling_mixln.py')).toBe(config.norm.name !== 'pre');
  });

  test('a Pre-LN model is a stock Llama, another is not', async () => {
    const stock = await writtenFolder(pre);
    const config = await readJson(join(stock, 'config.json'));
    expect(config).toMatchObject({ model_type: 'llama', architectures: ['LlamaForCausalLM'] });
    expect(config).not.toHaveProperty('auto_map');
    const own = await writtenFolder(mix);
    expect(await readJson(join(own, 'config.json'))).toMatchObject({
      model_type: 'mixln',
      norm: 'mix',
      post_layers: 2,
    });
    const { metadata } = await openSafetensors(join(own, 'model.safetensors'));
    expect(Object.fromEntries(metadata)).toEqual({ format: 'pt', norm: 'mix', post_layers: '2' });
  });

  test('bf16 is what is asked for on disk, and rounded weights come back', async () => {
    const folder = await writtenFolder(pre, { dtype: 'bf16' });
    const file = await openSafetensors(join(folder, 'model.safetensors'));
    expect(new Set([...file.tensors.values()].map(({ dtype }) => dtype))).toEqual(new Set(['BF16']));
    const value = (await weightsOf(pre)('lm_head.weight'))[0]!;
    const read = (await (await readModelDirectory(folder)).read('lm_head.weight'))[0]!;
    expect(Math.abs(read - value)).toBeLessThanOrEqual(Math.abs(value) * 2 ** -8);
  });

  test('shards: names and index as Hugging Face writes them, and every tensor back', async () => {
    const folder = await temporaryFolder();
    const tensors = specsOf(mix);
    await writeWeights(folder, tensors, weightsOf(mix), { norm: 'mix', post_layers: '2' }, 1500);
    const shards = (await readdir(folder)).filter((name) => name.startsWith('model-'));
    expect(shards.length).toBeGreaterThan(2);
    expect(shards[0]).toBe(`model-00001-of-0000${shards.length}.safetensors`);
    const index = await readJson(join(folder, 'model.safetensors.index.json'));
    const bytes = tensors.reduce((sum, { shape }) => sum + 4 * shape.reduce((a, b) => a * b), 0);
    expect(index.metadata).toEqual({ total_size: bytes });
    await writeConfig(folder, mix, {});
    const model = await readModelDirectory(folder);
    for (const { name } of tensors) expect(await model.read(name)).toEqual(await weightsOf(mix)(name));
  });
});

describe('tensors', () => {
  test('missing, unexpected and misshapen ones are all named at once', async () => {
    const rename = (name: string) => {
      if (name === 'model.norm.weight') return ['model.norm.weight', 'model.extra.weight'];
      return name === 'model.layers.1.mlp.up_proj.weight' ? [] : [name];
    };
    const folder = await folderWith(pre, { vocab_size: 12 }, { rename });
    const error = await refusal(folder);
    expect(error.problems.map(({ where, message }) => `${where}: ${message}`).sort()).toEqual([
      'model.embed_tokens.weight, lm_head.weight (2 tensors): has shape [11,8]; the config says [12,8]',
      'model.extra.weight: is not a tensor of this architecture',
      'model.layers.1.mlp.up_proj.weight: is missing; [12,8] is expected',
    ]);
  });

  test('rotary buffers of old checkpoints are passed over', async () => {
    const buffer = (name: string) =>
      name === 'model.norm.weight' ? [name, 'model.layers.0.self_attn.rotary_emb.inv_freq'] : [name];
    expect((await readModelDirectory(await folderWith(pre, {}, { rename: buffer }))).config).toEqual(pre);
  });

  test('a head that is not there needs tied embeddings', async () => {
    const tied = { ...pre, tieWordEmbeddings: true };
    expect((await readModelDirectory(await folderWith(tied, {}))).config).toEqual(tied);
    const error = await refusal(await folderWith(tied, { tie_word_embeddings: false }));
    expect(error.message).toMatch(/lm_head\.weight: is missing[\s\S]*"tie_word_embeddings": true/);
  });

  test('a tied head that is written twice must be the same twice', async () => {
    const source = (name: string) => weightsOf(pre)(name === 'lm_head.weight' ? 'model.embed_tokens.weight' : name);
    const same = await folderWith(pre, { tie_word_embeddings: true }, { source });
    expect((await readModelDirectory(same)).config.tieWordEmbeddings).toBe(true);
    const error = await refusal(await folderWith(pre, { tie_word_embeddings: true }));
    expect(error.message).toMatch(/lm_head\.weight: differs from model\.embed_tokens\.weight/);
  });

  test('integer weights are refused', async () => {
    const folder = await temporaryFolder();
    await writeConfig(folder, pre, {});
    const tensors = specsOf(pre).map(
      (spec): TensorSpec => (spec.name === 'model.norm.weight' ? { ...spec, dtype: 'I32' } : spec),
    );
    await writeSafetensors(join(folder, 'model.safetensors'), tensors, async (name) =>
      name === 'model.norm.weight' ? new Uint8Array(32) : weightsOf(pre)(name),
    );
    await expect(readModelDirectory(folder)).rejects.toThrow(/model\.norm\.weight: is I32; weights are floats/);
  });
});

describe('weights that are not finite', () => {
  const broken = async (name: string): Promise<Float32Array> => {
    const values = await weightsOf(mix)(name);
    if (name === 'model.layers.1.mlp.down_proj.weight') values[17] = Number.NaN;
    if (name === 'model.norm.weight') values[0] = Number.NEGATIVE_INFINITY;
    return values;
  };

  test('are named with their file when they are read', async () => {
    const folder = await folderWith(mix, { post_layers: 2 }, { source: broken });
    const model = await readModelDirectory(folder);
    await model.read('model.layers.0.mlp.down_proj.weight');
    const [file, down] = [join(folder, 'model.safetensors'), 'model.layers.1.mlp.down_proj.weight'];
    const error = await model.read(down).catch((reason) => reason);
    expect(error).toBeInstanceOf(RequestError);
    expect(error.message).toContain(`${file}`);
    expect(error.message).toContain(`${down}: holds NaN at element 17 (1 of 96 are not finite)`);
    await expect(model.read('model.norm.weight')).rejects.toThrow('model.norm.weight: holds -Infinity at element 0');
  });

  test('are named with their shard', async () => {
    const folder = await temporaryFolder();
    await writeConfig(folder, mix, {});
    await writeWeights(folder, specsOf(mix), broken, {}, 1500);
    const model = await readModelDirectory(folder);
    await expect(model.read('model.norm.weight')).rejects.toThrow(/model-\d{5}-of-\d{5}\.safetensors/);
  });
});

describe('files', () => {
  test('a folder without config.json, without weights, or with an empty file of them', async () => {
    const folder = await temporaryFolder();
    await expect(readModelDirectory(folder)).rejects.toThrow(/is empty/);
    await writeConfig(folder, pre, {});
    await expect(readModelDirectory(folder)).rejects.toThrow(/has no weights: neither model\.safetensors/);
    await writeFile(join(folder, 'pytorch_model.bin'), '');
    await expect(readModelDirectory(folder)).rejects.toThrow(/pytorch_model\.bin.*\n\n.*no file of torch\.save/);
  });

  test.each<[string, RegExp]>([
    [
      '{"weight_map": {"a": "../../etc/x.safetensors"}}',
      /a: "\.\.\/\.\.\/etc\/x\.safetensors" is not the name of a .safetensors file/,
    ],
    ['{"weight_map": {"a": 1}}', /a: 1 is not the name/],
    ['{"weight_map": ["a"]}', /has no `weight_map` object/],
    ['{"weight_map": {"a": "x.safetensors", "a": "y.safetensors"}}', /key "a" appears twice/],
    [
      '{"weight_map": {"a": "x.safetensors", "b": "y.safetensors"}}',
      /names 2 files, of which 2 are missing: x\.safetensors, y\.safetensors[\s\S]*download or copy is not complete/,
    ],
  ])('the index %s is refused', async (index, says) => {
    const folder = await temporaryFolder();
    await writeFile(join(folder, 'model.safetensors.index.json'), index);
    await expect(openWeights(folder)).rejects.toThrow(says);
  });

  test('index and shards must agree', async () => {
    const folder = await temporaryFolder();
    const tensors = ['a', 'b'].map((name): TensorSpec => ({ name, dtype: 'F32', shape: [1] }));
    await writeSafetensors(join(folder, 'x.safetensors'), tensors, async () => new Float32Array(1));
    await writeFile(
      join(folder, 'model.safetensors.index.json'),
      '{"weight_map":{"a":"x.safetensors","c":"x.safetensors"}}',
    );
    await expect(openWeights(folder)).rejects.toThrow(
      /c: the index puts it in x\.safetensors, which lacks it[\s\S]*b: is in x\.safetensors, but the index does not say so/,
    );
  });
});

async function writtenFolder(config: ModelConfig, options: Partial<ModelToWrite> = {}): Promise<string> {
  const folder = await temporaryFolder();
  await writeModelDirectory(folder, { config, read: weightsOf(config), dtype: 'f32', ...options });
  return folder;
}

async function readJson(path: string): Promise<Record<string, unknown>> {
  return JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown>;
}
