import { isRecord } from '../../config/assignments.ts';
import { asWritten, type Json } from './values.ts';

/**
 * With which values of a key, undefined where it is left out, a model computes what mixtune does, and why not with the
 * others. `read`: the family's `read` deals with the key.
 */
export type KeyRule = 'read' | Refusal;

export interface Refusal {
  accepts(value: unknown, json: Json): boolean;
  /** After `is …; `. */
  reason: string;
  hint?(value: unknown): string;
}

export const plainLlamas = 'SmolLM 1 and 2, TinyLlama, Llama 2 and Llama 3 8B are models of this kind';

const isUnset = (value: unknown): boolean => value === undefined || value === null;
const unsetOr =
  (...values: unknown[]) =>
  (value: unknown): boolean =>
    isUnset(value) || values.includes(value);

const experts: Refusal = { accepts: isUnset, reason: 'mixtures of experts are not supported' };

const quantised: Refusal = {
  accepts: isUnset,
  reason: 'quantised weights are not supported',
  hint: () => 'take the weights that were quantised: in f32, bf16 or f16',
};

const severalParts: Refusal = {
  accepts: isUnset,
  reason: 'this is a model of several parts, such as images and text; only a language model is supported',
};

/**
 * All that LlamaConfig, modeling_llama, the masks, the caches and the loading code of transformers 4.57 and 5.23 read
 * and mixtune does not compute. They read no other key that changes a logit, so what is not here, and not a size,
 * changes none. Other families begin with these, and replace or add what their own code reads.
 */
export const llamaKeys: Readonly<Record<string, KeyRule>> = {
  attention_bias: {
    accepts: unsetOr(false),
    reason: 'biases in attention are not supported',
    hint: () => plainLlamas,
  },
  mlp_bias: { accepts: unsetOr(false), reason: 'biases in the MLP are not supported', hint: () => plainLlamas },
  hidden_act: { accepts: unsetOr('silu', 'swish'), reason: 'only silu is supported' },
  sliding_window: {
    accepts: isUnset,
    reason: 'sliding-window attention is not supported',
    hint: (window) =>
      `texts no longer than the window are read the same way without it: set "sliding_window" to null and "max_position_embeddings" to at most ${asWritten(window)}`,
  },
  attention_chunk_size: { accepts: isUnset, reason: 'attention in chunks is not supported' },
  // transformers takes null for false.
  is_causal: {
    accepts: (value) => value === undefined || value === true,
    reason: 'attention to later tokens is not supported',
  },
  layer_types: {
    accepts: (value) => isUnset(value) || (Array.isArray(value) && value.every((type) => type === 'full_attention')),
    reason: 'only full_attention is supported',
  },
  kv_sharing_modes: { accepts: isUnset, reason: 'keys and values shared between layers are not supported' },
  per_layer_config: { accepts: isUnset, reason: 'layers that differ from each other are not supported' },
  pruned_heads: {
    accepts: (value) => isUnset(value) || (isRecord(value) && Object.keys(value).length === 0),
    reason: 'pruned attention heads are not supported',
  },
  num_local_experts: experts,
  num_experts: experts,
  partial_rotary_factor: { accepts: unsetOr(1), reason: 'rotating only part of each head is not supported' },
  quantization_config: quantised,
  compression_config: quantised,
  is_encoder_decoder: { accepts: unsetOr(false), reason: 'a decoder without an encoder is needed' },
  text_config: severalParts,
  text_encoder: severalParts,
  decoder: severalParts,
  generator: severalParts,
  transformers_weights: {
    accepts: isUnset,
    reason: 'the weights are read from model.safetensors or its shards',
    hint: (file) => `name ${asWritten(file)} model.safetensors and delete the key`,
  },
};
