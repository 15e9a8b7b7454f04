import type { Problem } from '../errors.ts';
import type { Family } from '../model/families/family.ts';
import { asWritten, type Json } from '../model/families/values.ts';
import { namesForeignCode } from './model-code.ts';

/** All keys of a config.json with values for which the family's own code computes something different from mixtune. */
export function unsupportedKeys(json: Json, { keys }: Family): Problem[] {
  return Object.entries(keys).flatMap(([key, rule]): Problem[] => {
    const value = json[key];
    if (rule === 'read' || rule.accepts(value, json)) return [];
    const { reason, hint } = rule;
    return [{ where: key, message: `is ${asWritten(value)}; ${reason}`, ...(hint ? { hint: hint(value) } : {}) }];
  });
}

/**
 * Keys with which relatives of Llama compute something different. Families that do not list them ignore them, here and
 * in transformers.
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

/** What users may expect from the config but do not get, one sentence each. */
export function passedOver(json: Json, { keys, title }: Family): string[] {
  const sentences: string[] = [];
  const isSet = (value: unknown): boolean => value !== undefined && value !== null && value !== false;
  const unread = relativesKeys.filter((key) => isSet(json[key]) && !Object.hasOwn(keys, key));
  if (unread.length > 0)
    sentences.push(`config.json: ${unread.join(', ')}: no such key exists for a ${title}, so it has no effect`);
  const dropout = json.attention_dropout;
  if (isSet(dropout) && dropout !== 0) {
    sentences.push(`config.json: attention_dropout is ${asWritten(dropout)}; mixtune does not use dropout`);
  }
  if (namesForeignCode(json)) {
    sentences.push(`config.json: auto_map names custom code, which is not run: the model is read as a ${title}`);
  }
  return sentences;
}
