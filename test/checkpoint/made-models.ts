import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { readModelDirectory } from '../../src/checkpoint/model-directory.ts';
import { type TensorSpec, writeSafetensors } from '../../src/checkpoint/safetensors-writer.ts';
import { RequestError } from '../../src/errors.ts';
import type { ModelConfig } from '../../src/model/config.ts';
import { writtenPlacement } from '../../src/model/norm.ts';
import { checkpointTensors } from '../../src/model/parameters.ts';
import { RandomStream } from '../../src/random.ts';
import { temporaryFolder } from './temporary.ts';

export const pre: ModelConfig = {
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
  family: { name: 'llama', settings: {} },
  norm: { name: 'pre', settings: {} },
};
export const mix: ModelConfig = { ...pre, norm: { name: 'mix', settings: { postLayers: 2 } } };
export const mixReversed: ModelConfig = { ...pre, norm: { name: 'mix-reversed', settings: { postLayers: 2 } } };
export const post: ModelConfig = { ...pre, norm: { name: 'post', settings: {} } };

/** Reproducible weights under each name. */
export function weightsOf(config: ModelConfig): (name: string) => Promise<Float32Array> {
  const shapes = new Map(checkpointTensors(config).map(({ name, shape }) => [name, shape]));
  return async (name) => {
    const stream = new RandomStream(1, name);
    return Float32Array.from({ length: shapes.get(name)!.reduce((a, b) => a * b) }, () => stream.normal());
  };
}

export function specsOf(config: ModelConfig): TensorSpec[] {
  return checkpointTensors(config).map(({ name, shape }) => ({ name, shape, dtype: 'F32' }));
}

/** A directory as somebody else might have written it: keys of config.json and names of tensors changed at will. */
export async function folderWith(
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

export async function writeConfig(folder: string, config: ModelConfig, json: Record<string, unknown>): Promise<void> {
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
    ...(config.norm.name === 'pre' ? {} : writtenPlacement(config)),
    ...json,
  };
  await writeFile(join(folder, 'config.json'), JSON.stringify(written));
}

export async function refusal(folder: string): Promise<RequestError> {
  const error = await readModelDirectory(folder).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(RequestError);
  return error as RequestError;
}
