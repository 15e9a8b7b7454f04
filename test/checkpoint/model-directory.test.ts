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
import { RandomStream } from '../../src/random.ts';
import { temporaryFolder } from './temporary.ts';

const pre: ModelConfig = {
  vocabSize: 11,
  hiddenSize: 8,
  intermediateSize: 12,
  layers: 3,
  heads: 4,
  kvHeads: 2,
  headDim: 4,
  ropeTheta: 12345.5,
  rmsNormEps: 1e-5,
  maxLength: 64,
  tieWordEmbeddings: false,
  norm: 'pre',
  postLayers: 0,
};
const mix: ModelConfig = { ...pre, norm: 'mix', postLayers: 2 };
const post: ModelConfig = { ...pre, norm: 'post', postLayers: 3 };

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
    expect(model.inferred).toEqual([]);
    expect(model.extra).toMatchObject({ bosId: 1, eosIds: [2, 5], padId: 0 });
    for (const { name } of checkpointTensors(config))
      expect(await model.read(name)).toEqual(await weightsOf(config)(name));
    expect((await readdir(folder)).includes('modeling_mixln.py')).toBe(config.norm !== 'pre');
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

describe('the placement', () => {
  const named = (config: ModelConfig, json: Record<string, unknown>) =>
    folderWith(config, { model_type: 'llama', norm: undefined, post_layers: undefined, ...json });

  test("authors' checkpoints do not say it: it is inferred and said", async () => {
    const model = await readModelDirectory(await named(mix, {}));
    expect(model.config).toEqual(mix);
    expect(model.inferred).toEqual([
      'norm placement: Post-LN in the first 2 of 3 layers, Pre-LN in the rest; inferred from the tensor names, the config does not say',
    ]);
    expect((await readModelDirectory(await named(post, {}))).inferred[0]).toMatch(/all 3 layers.*DeepNorm/);
    expect((await readModelDirectory(await named(pre, {}))).inferred).toEqual([]);
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
  ])('$norm tensors under %o are refused', async (config, json, says) => {
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
      /model\.layers\.2: is Post-LN after the Pre-LN layer 0/,
    ],
  ])('%s is refused by its name', async (_, rename, says) => {
    await expect(readModelDirectory(await folderWith(pre, {}, { rename }))).rejects.toThrow(says);
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
      'lm_head.weight: has shape [11,8]; the config says [12,8]',
      'model.embed_tokens.weight: has shape [11,8]; the config says [12,8]',
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

describe('config.json', () => {
  const stock = { norm: undefined, post_layers: undefined };

  test.each<[Record<string, unknown>, RegExp]>([
    [{ model_type: 'gpt2' }, /model_type: "gpt2" is not supported; supported are llama and mixln/],
    [{ model_type: undefined }, /model_type: missing/],
    [{ attention_bias: true }, /attention_bias: is true; biases in attention/],
    [{ mlp_bias: true }, /mlp_bias/],
    [{ hidden_act: 'gelu' }, /hidden_act: is "gelu"; only silu/],
    [{ sliding_window: 4096 }, /sliding_window: is 4096/],
    [{ num_local_experts: 8 }, /mixtures of experts/],
    [{ quantization_config: { bits: 4 } }, /quantised weights/],
    [{ rope_scaling: { type: 'linear', factor: 2 } }, /rope_scaling: rope type "linear" is not supported/],
    [{ rope_parameters: { rope_type: 'llama3', rope_theta: 12345.5 } }, /rope_parameters: rope type "llama3"/],
    [
      { rope_parameters: { rope_type: 'default', rope_theta: 10000 } },
      /rope_theta and rope_parameters\.rope_theta: contradict each other: 12345\.5 and 10000/,
    ],
    [{ torch_dtype: 'float32', dtype: 'bfloat16' }, /torch_dtype and dtype: contradict each other/],
    [{ num_key_value_heads: 3 }, /num_key_value_heads: 3 does not divide the 4 attention heads/],
    [{ head_dim: 3 }, /head_dim: 3 is odd/],
    [{ hidden_size: '8' }, /hidden_size: "8"; a whole number from 1 is needed/],
    [{ num_hidden_layers: 1e9 }, /num_hidden_layers: 1000000000; a whole number from 1 to 10000 is needed/],
    [{ rms_norm_eps: 0 }, /rms_norm_eps: 0; a number above 0/],
    [{ tie_word_embeddings: 'no' }, /tie_word_embeddings: "no"/],
  ])('%o is refused', async (json, says) => {
    await expect(readModelDirectory(await folderWith(pre, { ...stock, ...json }))).rejects.toThrow(says);
  });

  test('everything wrong is said at once', async () => {
    const error = await refusal(await folderWith(pre, { hidden_act: 'gelu', vocab_size: -1, attention_bias: true }));
    expect(error.problems.map(({ where }) => where).sort()).toEqual(['attention_bias', 'hidden_act', 'vocab_size']);
  });

  test('one wrong size is one problem, not one for each size that follows from it', async () => {
    const error = await refusal(
      await folderWith(pre, { num_attention_heads: null, head_dim: null, num_key_value_heads: null }),
    );
    expect(error.problems.map(({ where }) => where)).toEqual(['num_attention_heads']);
  });

  test.each<[Record<string, unknown>]>([
    [{ rope_theta: undefined, rope_parameters: { rope_type: 'default', rope_theta: 12345.5 }, dtype: 'float32' }],
    [{ rope_theta: 12345.5, rope_parameters: undefined, rope_scaling: null, torch_dtype: 'float32' }],
    [
      {
        sliding_window: null,
        pretraining_tp: 1,
        attention_dropout: 0,
        hidden_act: 'silu',
        rope_scaling: { rope_type: 'default' },
      },
    ],
  ])('the spellings of transformers 4 and 5 are read: %o', async (json) => {
    expect((await readModelDirectory(await folderWith(pre, { ...stock, ...json }))).config).toEqual(pre);
  });

  test('what old files leave out has the value that Llama gives it', async () => {
    const config = { ...pre, kvHeads: 4, headDim: 2, ropeTheta: 10000, rmsNormEps: 1e-6, maxLength: 2048 };
    const absent = [
      'num_key_value_heads',
      'head_dim',
      'rope_theta',
      'rope_parameters',
      'rms_norm_eps',
      'max_position_embeddings',
      'tie_word_embeddings',
    ];
    const json = Object.fromEntries(absent.map((key) => [key, undefined]));
    expect((await readModelDirectory(await folderWith(config, json))).config).toEqual(config);
  });

  test('ids: one or several, and none where null or -1 stands', async () => {
    const folder = await folderWith(pre, { bos_token_id: null, eos_token_id: [2, 3], pad_token_id: -1 });
    expect((await readModelDirectory(folder)).extra).toEqual({
      modelType: 'llama',
      architecture: 'LlamaForCausalLM',
      bosId: undefined,
      eosIds: [2, 3],
      padId: undefined,
    });
  });
});

describe('files', () => {
  test('a folder without config.json, without weights, or with a pickle only', async () => {
    const folder = await temporaryFolder();
    await expect(readModelDirectory(folder)).rejects.toThrow(/config\.json[\s\S]*cannot be read \(ENOENT\)/);
    await writeConfig(folder, pre, {});
    await expect(readModelDirectory(folder)).rejects.toThrow(
      /neither model\.safetensors nor model\.safetensors\.index\.json/,
    );
    await writeFile(join(folder, 'pytorch_model.bin'), '');
    await expect(readModelDirectory(folder)).rejects.toThrow(/pytorch_model\.bin is not read; save the model again/);
  });

  test.each<[string, RegExp]>([
    [
      '{"weight_map": {"a": "../../etc/x.safetensors"}}',
      /a: "\.\.\/\.\.\/etc\/x\.safetensors" is not the name of a .safetensors file/,
    ],
    ['{"weight_map": {"a": 1}}', /a: 1 is not the name/],
    ['{"weight_map": ["a"]}', /has no `weight_map` object/],
    ['{"weight_map": {"a": "x.safetensors", "a": "y.safetensors"}}', /key "a" stands twice/],
    [
      '{"weight_map": {"a": "x.safetensors", "b": "y.safetensors"}}',
      /2 problems[\s\S]*x\.safetensors: [\s\S]*y\.safetensors: /,
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

/** Reproducible weights under each name. */
function weightsOf(config: ModelConfig): (name: string) => Promise<Float32Array> {
  const shapes = new Map(checkpointTensors(config).map(({ name, shape }) => [name, shape]));
  return async (name) => {
    const stream = new RandomStream(1, name);
    return Float32Array.from({ length: shapes.get(name)!.reduce((a, b) => a * b) }, () => stream.normal());
  };
}

function specsOf(config: ModelConfig): TensorSpec[] {
  return checkpointTensors(config).map(({ name, shape }) => ({ name, shape, dtype: 'F32' }));
}

async function writtenFolder(config: ModelConfig, options: Partial<ModelToWrite> = {}): Promise<string> {
  const folder = await temporaryFolder();
  await writeModelDirectory(folder, { config, read: weightsOf(config), dtype: 'f32', ...options });
  return folder;
}

/** A directory as somebody else might have written it: keys of config.json and names of tensors changed at will. */
async function folderWith(
  config: ModelConfig,
  json: Record<string, unknown>,
  changes: {
    rename?: (name: string) => string[];
    metadata?: Record<string, string>;
    source?: (name: string) => Promise<Float32Array>;
  } = {},
): Promise<string> {
  const { rename = (name) => [name], metadata = {}, source = weightsOf(config) } = changes;
  const folder = await temporaryFolder();
  await writeConfig(folder, config, json);
  const original = new Map(specsOf(config).flatMap((spec) => rename(spec.name).map((name) => [name, spec] as const)));
  const tensors = [...original].map(([name, spec]) => ({ ...spec, name }));
  await writeSafetensors(
    join(folder, 'model.safetensors'),
    tensors,
    (name) => source(original.get(name)!.name),
    metadata,
  );
  return folder;
}

async function writeConfig(folder: string, config: ModelConfig, json: Record<string, unknown>): Promise<void> {
  const written = {
    architectures: ['LlamaForCausalLM'],
    model_type: 'llama',
    vocab_size: config.vocabSize,
    hidden_size: config.hiddenSize,
    intermediate_size: config.intermediateSize,
    num_hidden_layers: config.layers,
    num_attention_heads: config.heads,
    num_key_value_heads: config.kvHeads,
    head_dim: config.headDim,
    rope_theta: config.ropeTheta,
    rms_norm_eps: config.rmsNormEps,
    max_position_embeddings: config.maxLength,
    tie_word_embeddings: config.tieWordEmbeddings,
    ...(config.norm === 'pre' ? {} : { norm: config.norm, post_layers: config.postLayers }),
    ...json,
  };
  await writeFile(join(folder, 'config.json'), JSON.stringify(written));
}

function sandwich(name: string): string[] {
  if (!name.includes('post_attention_layernorm')) return [name];
  return ['post_attention', 'pre_feedforward', 'post_feedforward'].map((norm) => name.replace('post_attention', norm));
}

async function refusal(folder: string): Promise<RequestError> {
  const error = await readModelDirectory(folder).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(RequestError);
  return error as RequestError;
}

async function readJson(path: string): Promise<Record<string, unknown>> {
  return JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown>;
}
