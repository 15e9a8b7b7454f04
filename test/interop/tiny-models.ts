import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadModel } from '../../src/checkpoint/load-model.ts';
import { generate } from '../../src/generation/generate.ts';
import type { ModelConfig } from '../../src/model/config.ts';
import { headOf, hiddenStates } from '../../src/model/model.ts';
import { checkpointTensors } from '../../src/model/parameters.ts';
import { RandomStream } from '../../src/random.ts';
import { openBackend } from '../../src/tensor/backends/open.ts';
import { linear } from '../../src/tensor/fused/linear.ts';
import { scope } from '../../src/tensor/scope.ts';

const { backend } = await openBackend({ precision: 'f32' });

export const tokens = [5, 17, 299, 4, 4, 160, 33, 250, 0, 91, 12, 77];

export const tinyConfig: ModelConfig = {
  vocabSize: 300,
  hiddenSize: 48,
  intermediateSize: 72,
  layers: 4,
  heads: 6,
  kvHeads: 2,
  headDim: 8,
  ropeTheta: 5000.5,
  rmsNormEps: 1e-5,
  maxLength: 64,
  tieWordEmbeddings: false,
  family: { name: 'llama', settings: {} },
  norm: { name: 'pre', settings: {} },
};

/** Weights large enough that a wrong norm, rotation or head shows in the logits. */
export function randomWeights(config: ModelConfig): (name: string) => Promise<Float32Array> {
  const shapes = new Map(checkpointTensors(config).map(({ name, shape }) => [name, shape]));
  return async (name) => {
    const stream = new RandomStream(3, name);
    const [mean, deviation] = /norm\.weight$/.test(name) ? [1, 0.3] : [0, 0.2];
    const length = shapes.get(name)!.reduce((a, b) => a * b);
    return Float32Array.from({ length }, () => mean + deviation * stream.normal());
  };
}

/** What mixtune makes of a model directory, in float32 on the backend that commands use here. */
export async function ourReading(
  directory: string,
): Promise<{ config: ModelConfig; logits: Float32Array; generated: number[] }> {
  const { model, extra } = await loadModel(directory, backend);
  const input = {
    tokens: Int32Array.from(tokens),
    positions: Int32Array.from(tokens.keys()),
    segments: Int32Array.of(0, tokens.length),
  };
  const logits = scope(() => linear(hiddenStates(model, input), headOf(model)), { adopt: false });
  const [continued] = await generate(model, [input.tokens], { maxNewTokens: 12, stopIds: extra.eosIds });
  return {
    config: model.config,
    logits: Float32Array.from(await backend.read(logits)),
    generated: [...continued!.tokens],
  };
}

export function largestDifference(ours: Float32Array, theirs: readonly (readonly number[])[]): number {
  const flat = theirs.flat();
  if (flat.length !== ours.length) throw new Error(`${ours.length} logits here, ${flat.length} there`);
  return flat.reduce((largest, value, i) => Math.max(largest, Math.abs(value - ours[i]!)), 0);
}

/** Runs `use` in a folder that is deleted after it. */
export async function inTemporaryFolder<T>(use: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'mixtune-interop-'));
  try {
    return await use(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
