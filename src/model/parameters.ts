import type { ModelConfig } from './config.ts';
import { isPostLayer } from './config.ts';

/** One tensor of a checkpoint, under its Hugging Face name. */
export interface CheckpointTensor {
  name: string;
  shape: readonly number[];
}

/**
 * Names and shapes of every tensor of the model, in Hugging Face's naming and in the order in which they are written.
 * A Post-LN layer's norms are `post_attention_layernorm` and `post_feedforward_layernorm`; a Pre-LN layer's are
 * `input_layernorm` and `post_attention_layernorm` (the naming of the Mix-LN authors' code).
 */
export function checkpointTensors(config: ModelConfig): CheckpointTensor[] {
  const { hiddenSize: hidden, intermediateSize: intermediate, headDim } = config;
  const tensors: CheckpointTensor[] = [{ name: 'model.embed_tokens.weight', shape: [config.vocabSize, hidden] }];
  for (let layer = 0; layer < config.layers; layer++) {
    const prefix = `model.layers.${layer}`;
    const norms = isPostLayer(config, layer)
      ? ['post_attention_layernorm', 'post_feedforward_layernorm']
      : ['input_layernorm', 'post_attention_layernorm'];
    tensors.push(
      { name: `${prefix}.self_attn.q_proj.weight`, shape: [config.heads * headDim, hidden] },
      { name: `${prefix}.self_attn.k_proj.weight`, shape: [config.kvHeads * headDim, hidden] },
      { name: `${prefix}.self_attn.v_proj.weight`, shape: [config.kvHeads * headDim, hidden] },
      { name: `${prefix}.self_attn.o_proj.weight`, shape: [hidden, config.heads * headDim] },
      { name: `${prefix}.mlp.gate_proj.weight`, shape: [intermediate, hidden] },
      { name: `${prefix}.mlp.up_proj.weight`, shape: [intermediate, hidden] },
      { name: `${prefix}.mlp.down_proj.weight`, shape: [hidden, intermediate] },
      ...norms.map((norm) => ({ name: `${prefix}.${norm}.weight`, shape: [hidden] })),
    );
  }
  tensors.push({ name: 'model.norm.weight', shape: [hidden] });
  if (!config.tieWordEmbeddings) tensors.push({ name: 'lm_head.weight', shape: [config.vocabSize, hidden] });
  return tensors;
}

/** Parameters of the model, counting a tied head once. */
export function parameterCount(config: ModelConfig): number {
  return checkpointTensors(config).reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
}
