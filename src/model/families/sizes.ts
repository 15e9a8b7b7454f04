import type { Problem } from '../../errors.ts';
import type { ModelConfig } from '../config.ts';
import { mostLayers } from '../sizes.ts';
import type { Architecture } from './family.ts';
import { ropeTheta } from './rope.ts';
import { count, flag, type Json, positive } from './values.ts';

/** The architecture as far as all families tell it by the same keys. */
export type Sizes = Omit<Architecture, 'family'>;

/**
 * Reads sizes, rotary base, eps and tying in the spelling of transformers 4 and 5 alike. What is left out is as in
 * Llama; a family with other defaults puts them under the config: `readSizes({ head_dim: 128, ...json }, problems)`.
 */
export function readSizes(json: Json, problems: Problem[]): Sizes {
  const before = problems.length;
  const heads = count(json, 'num_attention_heads', problems);
  const hiddenSize = count(json, 'hidden_size', problems);
  const layers = count(json, 'num_hidden_layers', problems, undefined, mostLayers);
  const kvHeads = count(json, 'num_key_value_heads', problems, heads);
  if ((json.head_dim ?? undefined) === undefined && hiddenSize % heads > 0) {
    const message = `${hiddenSize} is no multiple of the ${heads} attention heads`;
    problems.push({ where: 'hidden_size', message, hint: 'head_dim is needed where it is not their quotient' });
  }
  const headDim = count(json, 'head_dim', problems, Math.ceil(hiddenSize / heads));
  const sizes = {
    vocabSize: count(json, 'vocab_size', problems),
    hiddenSize,
    intermediateSize: count(json, 'intermediate_size', problems),
    layers,
    heads,
    kvHeads,
    headDim,
    ropeTheta: positive({ rope_theta: ropeTheta(json, problems) }, 'rope_theta', problems, 10000),
    rmsNormEps: positive(json, 'rms_norm_eps', problems, 1e-6),
    maxLength: count(json, 'max_position_embeddings', problems, 2048),
    tieWordEmbeddings: flag(json, 'tie_word_embeddings', problems),
  };
  if (problems.length === before) checkHeads(sizes, problems);
  return sizes;
}

function checkHeads({ heads, kvHeads, headDim }: Sizes, problems: Problem[]): void {
  if (heads % kvHeads !== 0) {
    problems.push({ where: 'num_key_value_heads', message: `${kvHeads} does not divide the ${heads} attention heads` });
  }
  if (headDim % 2 !== 0)
    problems.push({ where: 'head_dim', message: `${headDim} is odd; rotary embedding needs pairs` });
}

/** What `readSizes` reads, and what else transformers wants to know of each family. */
export function writtenSizes(config: ModelConfig): Json {
  return {
    attention_dropout: 0,
    head_dim: config.headDim,
    hidden_act: 'silu',
    hidden_size: config.hiddenSize,
    initializer_range: 0.02,
    intermediate_size: config.intermediateSize,
    max_position_embeddings: config.maxLength,
    num_attention_heads: config.heads,
    num_hidden_layers: config.layers,
    num_key_value_heads: config.kvHeads,
    rms_norm_eps: config.rmsNormEps,
    rope_parameters: { rope_theta: config.ropeTheta, rope_type: 'default' },
    rope_theta: config.ropeTheta,
    tie_word_embeddings: config.tieWordEmbeddings,
    use_cache: true,
    vocab_size: config.vocabSize,
  };
}

/** The end of the names of transformers' classes for a model with this head, as in `LlamaForCausalLM`. */
export function headClass({ head }: Pick<ModelConfig, 'head'>): string {
  return head === 'score' ? 'ForSequenceClassification' : 'ForCausalLM';
}
