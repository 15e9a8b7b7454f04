import type { Problem } from '../errors.ts';
import { families } from '../model/families/index.ts';
import { plainLlamas } from '../model/families/key-rules.ts';
import type { Json } from '../model/families/values.ts';

/** How other families differ from Llama, by `model_type`. */
const differences: ReadonlyMap<string, string> = new Map([
  ['qwen2', 'has biases in its attention'],
  ['qwen3', 'normalises queries and keys'],
  ['smollm3', 'has no rotary embedding in some layers'],
  ['gemma', 'scales its embeddings and adds 1 to the weights of its norms'],
  ['gemma2', 'has norms before and after each sub-layer and caps its logits'],
  ['gemma3', 'has norms before and after each sub-layer and normalises queries and keys'],
  ['gemma3_text', 'has norms before and after each sub-layer and normalises queries and keys'],
  ['phi', 'has biases, and computes attention and MLP in parallel'],
  ['phi3', 'keeps queries, keys and values in one tensor'],
  ['granite', 'multiplies embeddings, sub-layers and logits'],
  ['olmo', 'has norms without weights'],
  ['olmo2', 'normalises the output of each sub-layer, and queries and keys'],
  ['olmo3', 'normalises the output of each sub-layer, and queries and keys'],
  ['cohere', 'computes attention and MLP in parallel and scales its logits'],
  ['stablelm', 'has LayerNorm, and rotates only part of each head'],
  ['starcoder2', 'has LayerNorm and biases'],
  ['glm', 'rotates only part of each head'],
  ['glm4', 'rotates only part of each head'],
  ['mixtral', 'is a mixture of experts'],
  ['qwen2_moe', 'is a mixture of experts'],
  ['qwen3_moe', 'is a mixture of experts'],
  ['gpt_oss', 'is a mixture of experts'],
  ['deepseek_v2', 'is a mixture of experts'],
  ['deepseek_v3', 'is a mixture of experts'],
  ['llama4', 'is a mixture of experts'],
  ['gpt2', 'has LayerNorm and learned positions'],
  ['gpt_neox', 'has LayerNorm and biases'],
  ['opt', 'has LayerNorm and learned positions'],
  ['falcon', 'has LayerNorm, and computes attention and MLP in parallel'],
  ['mpt', 'has ALiBi instead of rotary embedding'],
  ['bert', 'is an encoder, which generates no text'],
  ['roberta', 'is an encoder, which generates no text'],
  ['t5', 'has an encoder as well as a decoder'],
  ['mamba', 'has no attention'],
]);

/** The problem with a `model_type` that is not supported. */
export function foreignFamily(modelType: unknown, json: Json): Problem {
  const where = 'model_type';
  const supported = new Intl.ListFormat('en').format(families.flatMap(({ modelTypes }) => modelTypes));
  const message = `${JSON.stringify(modelType) ?? 'missing'} is not supported; supported are ${supported}`;
  if (modelType === 'mistral') return { where, message, hint: mistralHint(json) };
  if (modelType === undefined) {
    return { where, message, hint: 'if it is a Llama, set "model_type" to "llama" in config.json' };
  }
  const difference = typeof modelType === 'string' ? differences.get(modelType) : undefined;
  return { where, message, hint: difference ? `${modelType} ${difference}; ${plainLlamas}` : plainLlamas };
}

/** The hint for Mistral, which is a Llama with a sliding window (4096 if the config does not set it). */
function mistralHint({ sliding_window: window = 4096 }: Json): string {
  const rename = 'set "model_type" to "llama" and "architectures" to ["LlamaForCausalLM"] in config.json';
  if (window === null) return `a Mistral without a sliding window is computed exactly like a Llama: ${rename}`;
  return `for texts no longer than its window, a Mistral is computed exactly like a Llama: ${rename}, "sliding_window" to null, and "max_position_embeddings" to at most ${JSON.stringify(window)}`;
}
