import type { ModelConfig } from './config.ts';
import { attentionOf } from './family.ts';
import { embeddingNormOf, normParts, wiringOf, wiringParts } from './norm.ts';
import { type Part, packedNames } from './part.ts';

/**
 * Every tensor of the model under its full name in a Hugging Face checkpoint, in the order in which they are written:
 * the embedding and its norm, if it has one, of each layer the projections and then what its family and its norm
 * placement add, the final norm and the head.
 */
export function checkpointTensors(config: ModelConfig): Part[] {
  const { vocabSize, hiddenSize: hidden } = config;
  const linear = { init: 'linear', decays: true } as const;
  const parts: Part[] = [
    { name: 'model.embed_tokens.weight', shape: [vocabSize, hidden], init: 'embedding', decays: true },
  ];
  const embeddingNorm = embeddingNormOf(config);
  if (embeddingNorm) parts.push(...normParts(config, embeddingNorm, hidden));
  for (let layer = 0; layer < config.layers; layer++) {
    for (const part of layerParts(config, layer)) parts.push({ ...part, name: inLayer(layer, part.name) });
  }
  parts.push(...normParts(config, 'model.norm', hidden));
  if (config.head === 'score') parts.push({ name: 'score.weight', shape: [1, hidden], ...linear });
  else if (!config.tieWordEmbeddings) parts.push({ name: 'lm_head.weight', shape: [vocabSize, hidden], ...linear });
  return parts;
}

/** Full name of a tensor of a layer. */
export function inLayer(layer: number, name: string): string {
  return `model.layers.${layer}.${name}`;
}

/** Every tensor of a layer, by its name below it. */
export function layerParts(config: ModelConfig, layer: number): Part[] {
  return [...unplacedParts(config, layer), ...wiringParts(wiringOf(config, layer), config)];
}

/** The tensors of a layer that it has under every norm placement. */
export function unplacedParts(config: ModelConfig, layer: number): Part[] {
  const { parts, headNorms = {} } = attentionOf(config, layer);
  const norms = Object.values(headNorms).flatMap((name) => normParts(config, name, config.headDim));
  return [...projections(config, layer), ...Object.values(parts), ...norms];
}

function projections(config: ModelConfig, layer: number): Part[] {
  const { hiddenSize: hidden, intermediateSize: intermediate, headDim } = config;
  const { gain = {} } = wiringOf(config, layer);
  const linear = { init: 'linear', decays: true } as const;
  const [queries, keys] = [config.heads * headDim, config.kvHeads * headDim];
  return [
    { name: 'self_attn.q_proj.weight', shape: [queries, hidden], ...linear, packed: 'qkv' },
    { name: 'self_attn.k_proj.weight', shape: [keys, hidden], ...linear, packed: 'qkv' },
    { name: 'self_attn.v_proj.weight', shape: [keys, hidden], ...linear, gain: gain.v, packed: 'qkv' },
    { name: 'self_attn.o_proj.weight', shape: [hidden, queries], ...linear, gain: gain.o },
    { name: 'mlp.gate_proj.weight', shape: [intermediate, hidden], ...linear, gain: gain.gate, packed: 'gateUp' },
    { name: 'mlp.up_proj.weight', shape: [intermediate, hidden], ...linear, gain: gain.up, packed: 'gateUp' },
    { name: 'mlp.down_proj.weight', shape: [hidden, intermediate], ...linear, gain: gain.down },
  ];
}

/** Parameters of the model, counting a tied head once. */
export function parameterCount(config: ModelConfig): number {
  return checkpointTensors(config).reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
}

/** One tensor of the model in memory: parts of the checkpoint, one after the other along the first dimension. */
export interface ModelParameter {
  name: string;
  shape: readonly number[];
  decays: boolean;
  parts: readonly Part[];
}

/** The model's parameters in memory, in the order of `checkpointTensors`. */
export function modelParameters(config: ModelConfig): ModelParameter[] {
  const groups = new Map<string, Part[]>();
  for (const part of checkpointTensors(config)) {
    const name = part.packed ? part.name.replace(/(?<=^model\.layers\.\d+\.).*$/, packedNames[part.packed]) : part.name;
    groups.set(name, [...(groups.get(name) ?? []), part]);
  }
  return [...groups].map(([name, parts]) => {
    const [{ shape, decays }] = parts as [Part];
    return { name, shape: [parts.reduce((rows, part) => rows + part.shape[0]!, 0), ...shape.slice(1)], decays, parts };
  });
}
