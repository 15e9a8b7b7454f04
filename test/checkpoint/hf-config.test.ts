import { describe, expect, test } from 'vitest';
import { readModelDirectory } from '../../src/checkpoint/model-directory.ts';
import { folderWith, pre, refusal } from './made-models.ts';

describe('config.json', () => {
  const stock = { norm: undefined, post_layers: undefined };

  test.each<[Record<string, unknown>, RegExp]>([
    [{ model_type: 'gpt2' }, /model_type: "gpt2" is not supported; supported are llama and mixln/],
    [{ model_type: undefined }, /model_type: missing[\s\S]*set "model_type" to "llama"/],
    [{ model_type: 'qwen2' }, /hint: qwen2 has biases in its attention; SmolLM/],
    [{ model_type: 'constructor' }, /"constructor" is not supported.*\n.*hint: SmolLM/],
    [
      { model_type: 'mistral', sliding_window: null },
      /hint: a Mistral without a sliding window is computed exactly like a Llama/,
    ],
    [{ model_type: 'mistral' }, /"sliding_window" to null, and "max_position_embeddings" to at most 4096/],
    [{ head_dim: null, hidden_size: 10 }, /hidden_size: 10 is no multiple of the 4 attention heads/],
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
    [
      {
        rope_theta: undefined,
        rope_scaling: { type: 'default', rope_theta: 5e5 },
        rope_parameters: { rope_theta: 1e4 },
      },
      /rope_scaling\.rope_theta and rope_parameters\.rope_theta: contradict each other: 500000 and 10000/,
    ],
    [{ rope_scaling: { rope_type: 'default', rope_theta: '5e5' }, rope_theta: null }, /rope_theta: "5e5"; a number/],
    [{ rope_scaling: { rope_type: 'default', type: 'linear' } }, /rope_type and rope_scaling\.type: contradict/],
    [{ rope_parameters: { full_attention: { rope_theta: 1e6 } } }, /rope_parameters\.full_attention: rotations that/],
    [{ rope_scaling: 'linear' }, /rope_scaling: "linear"; an object is needed/],
    [{ is_causal: false }, /is_causal: is false; attention to later tokens/],
    [{ is_causal: null }, /is_causal: is null; attention to later tokens/],
    [
      { layer_types: ['full_attention', 'sliding_attention', 'full_attention'] },
      /layer_types: is .*only full_attention/,
    ],
    [{ attention_chunk_size: 8192 }, /attention_chunk_size: is 8192/],
    [{ kv_sharing_modes: ['reuse'] }, /kv_sharing_modes/],
    [{ per_layer_config: { 0: { intermediate_size: 4 } } }, /per_layer_config: is .*layers that differ/],
    [{ pruned_heads: { 0: [1] } }, /pruned_heads: is .*pruned attention heads/],
    [{ partial_rotary_factor: 0.5 }, /partial_rotary_factor: is 0\.5/],
    [{ compression_config: {} }, /compression_config: is \{\}; quantised weights/],
    [{ is_encoder_decoder: true }, /is_encoder_decoder: is true/],
    [{ text_config: { hidden_size: 8 } }, /text_config: is .*a model of several parts/],
    [{ transformers_weights: 'other.safetensors' }, /transformers_weights: is "other\.safetensors"/],
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
    [{ rope_theta: undefined, rope_scaling: { rope_type: 'default', rope_theta: 12345.5 } }],
    [{ rope_scaling: { rope_type: 'default', rope_theta: 12345.5 } }],
    [{ rope_scaling: { factor: 4 } }],
    [{ layer_types: ['full_attention', 'full_attention', 'full_attention'], is_causal: true, pruned_heads: {} }],
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

  test('what a person may expect of the config and nothing reads is told', async () => {
    const json = {
      norm: 'pre',
      embedding_multiplier: 12,
      qk_norm: false,
      attention_dropout: 0.1,
      auto_map: { AutoModel: 'm.M' },
    };
    expect((await readModelDirectory(await folderWith(pre, json))).notes).toEqual([
      'config.json: embedding_multiplier: no such key exists for a Llama, so it has no effect',
      'config.json: attention_dropout is 0.1; mixtune does not use dropout',
      'config.json: auto_map names custom code, which is not run: the model is read as a Llama',
    ]);
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
