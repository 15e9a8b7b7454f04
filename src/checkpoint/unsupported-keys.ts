import type { Problem } from '../errors.ts';
import { isJsonObject } from './strict-json.ts';

type Json = Readonly<Record<string, unknown>>;

/**
 * A key that changes what a Llama computes: the values with which it computes what mixtune does, and why not the
 * others.
 */
interface Refusal {
  key: string;
  accepts(value: unknown): boolean;
  reason: string;
  hint?(value: unknown): string;
}

const never = (): boolean => false;
const off = (value: unknown): boolean => value === false;

export const plainLlamas = 'SmolLM 1 and 2, TinyLlama, Llama 2 and Llama 3 8B are models of this kind';

/**
 * All that LlamaConfig, modeling_llama, the masks, the caches and the loading code of transformers 4.57 and 5.23 read
 * and mixtune does not compute. They read no other key that changes a logit, so what is not here, and not a size,
 * changes none.
 */
const refusals: readonly Refusal[] = [
  { key: 'attention_bias', accepts: off, reason: 'biases in attention are not supported', hint: () => plainLlamas },
  { key: 'mlp_bias', accepts: off, reason: 'biases in the MLP are not supported', hint: () => plainLlamas },
  {
    key: 'hidden_act',
    accepts: (value) => value === 'silu' || value === 'swish',
    reason: 'only silu is supported',
  },
  {
    key: 'sliding_window',
    accepts: never,
    reason: 'sliding-window attention is not supported',
    hint: (window) =>
      `texts no longer than the window are read the same way without it: set "sliding_window" to null and "max_position_embeddings" to at most ${text(window)}`,
  },
  { key: 'attention_chunk_size', accepts: never, reason: 'attention in chunks is not supported' },
  { key: 'is_causal', accepts: (value) => value === true, reason: 'attention to later tokens is not supported' },
  {
    key: 'layer_types',
    accepts: (value) => Array.isArray(value) && value.every((type) => type === 'full_attention'),
    reason: 'only full_attention is supported',
  },
  { key: 'kv_sharing_modes', accepts: never, reason: 'keys and values shared between layers are not supported' },
  { key: 'per_layer_config', accepts: never, reason: 'layers that differ from each other are not supported' },
  {
    key: 'pruned_heads',
    accepts: (value) => isJsonObject(value) && Object.keys(value).length === 0,
    reason: 'pruned attention heads are not supported',
  },
  { key: 'num_local_experts', accepts: never, reason: 'mixtures of experts are not supported' },
  { key: 'num_experts', accepts: never, reason: 'mixtures of experts are not supported' },
  {
    key: 'partial_rotary_factor',
    accepts: (value) => value === 1,
    reason: 'rotating only part of each head is not supported',
  },
  ...['quantization_config', 'compression_config'].map((key) => ({
    key,
    accepts: never,
    reason: 'quantised weights are not supported',
    hint: () => 'take the weights that were quantised: in f32, bf16 or f16',
  })),
  { key: 'is_encoder_decoder', accepts: off, reason: 'a decoder without an encoder is needed' },
  ...['text_config', 'text_encoder', 'decoder', 'generator'].map((key) => ({
    key,
    accepts: never,
    reason: 'this is a model of several parts, such as images and text; only a language model is supported',
  })),
  {
    key: 'transformers_weights',
    accepts: never,
    reason: 'the weights are read from model.safetensors or its shards',
    hint: (file) => `name ${text(file)} model.safetensors and delete the key`,
  },
];

/** Where null is not the same as no key: transformers takes it for false. */
const nullMatters = 'is_causal';

/** Every key of a config.json with which a Llama computes something else than mixtune would. */
export function unsupportedKeys(json: Json): Problem[] {
  return refusals.flatMap(({ key, accepts, reason, hint }): Problem[] => {
    const value = json[key];
    if (value === undefined || (value === null && key !== nullMatters) || accepts(value)) return [];
    return [{ where: key, message: `is ${text(value)}; ${reason}`, ...(hint ? { hint: hint(value) } : {}) }];
  });
}

/** A value as it stands in the file, cut where it is long. */
function text(value: unknown): string {
  const json = JSON.stringify(value);
  return json.length <= 60 ? json : `${json.slice(0, 57)}…`;
}

/**
 * Keys by which relatives of Llama compute something else; in a config of a Llama nothing reads them, here or in
 * transformers.
 */
const relativesKeys = [
  'attention_multiplier',
  'attn_logit_softcapping',
  'clip_qkv',
  'embedding_multiplier',
  'final_logit_softcapping',
  'logit_scale',
  'logits_scaling',
  'no_rope_layers',
  'qk_layernorm',
  'qk_norm',
  'residual_multiplier',
  'scale_embedding',
  'use_qk_norm',
];

/** What a person may expect of the config and does not get, a sentence each. */
export function passedOver(json: Json): string[] {
  const sentences: string[] = [];
  const isSet = (value: unknown): boolean => value !== undefined && value !== null && value !== false;
  const unread = relativesKeys.filter((key) => isSet(json[key]));
  if (unread.length > 0)
    sentences.push(`config.json: ${unread.join(', ')}: no such key exists for a Llama, so it has no effect`);
  const dropout = json.attention_dropout;
  if (isSet(dropout) && dropout !== 0) {
    sentences.push(`config.json: attention_dropout is ${text(dropout)}; mixtune does not use dropout`);
  }
  if (isJsonObject(json.auto_map) && json.model_type === 'llama') {
    sentences.push('config.json: auto_map names custom code, which is not run: the model is read as a Llama');
  }
  return sentences;
}
