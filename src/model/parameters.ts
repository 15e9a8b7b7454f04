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
  if (config.head === 'score') tensors.push({ name: 'score.weight', shape: [1, hidden] });
  else if (!config.tieWordEmbeddings) tensors.push({ name: 'lm_head.weight', shape: [config.vocabSize, hidden] });
  return tensors;
}

/** Parameters of the model, counting a tied head once. */
export function parameterCount(config: ModelConfig): number {
  return checkpointTensors(config).reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
}

/**
 * One tensor of the model in memory: the checkpoint tensors `parts`, one behind the other along the first dimension.
 * Queries, keys and values are one matrix, and gate and up, because each is one product.
 */
export interface ModelParameter {
  name: string;
  shape: readonly number[];
  parts: readonly CheckpointTensor[];
}

const stacks = [
  { parts: ['q_proj', 'k_proj', 'v_proj'], as: 'qkv_proj' },
  { parts: ['gate_proj', 'up_proj'], as: 'gate_up_proj' },
];

/** The model's parameters in memory, in the order of `checkpointTensors`. */
export function modelParameters(config: ModelConfig): ModelParameter[] {
  const groups = new Map<string, CheckpointTensor[]>();
  for (const tensor of checkpointTensors(config)) {
    const stack = stacks.find(({ parts }) => parts.some((part) => tensor.name.includes(`.${part}.`)));
    const name = stack ? tensor.name.replace(/\.[a-z]+_proj\./, `.${stack.as}.`) : tensor.name;
    groups.set(name, [...(groups.get(name) ?? []), tensor]);
  }
  return [...groups].map(([name, parts]) => {
    const rows = parts.reduce((sum, { shape }) => sum + shape[0]!, 0);
    return { name, shape: [rows, ...parts[0]!.shape.slice(1)], parts };
  });
}
