import { RequestError } from '../errors.ts';
import type { ModelConfig } from '../model/config.ts';
import { finalNormOf, type Model } from '../model/model.ts';
import { parameterCount } from '../model/parameters.ts';
import type { Limits } from '../tensor/backends/limits.ts';

/** Memory of a process without a model: Node, the engine, texts and rows. */
const processBytes = 200e6;

/** Bytes of a parameter in training: its weight, its gradient and two moments, all float32. */
const parameterBytes = 16;

/** Checks, before any memory is allocated, that the parameters' bytes fit into it. @throws RequestError */
export function requireTrainingMemory(config: ModelConfig, { memory: available }: Pick<Limits, 'memory'>): void {
  const parameters = parameterCount(config);
  const needed = parameterBytes * parameters;
  if (needed <= available) return;
  const gigabytes = (bytes: number): string => `${Math.ceil(bytes / 1e9).toLocaleString('en')} GB`;
  const millions = Math.round(parameters / 1e6).toLocaleString('en');
  throw new RequestError({
    where: 'model',
    message: `${millions} million parameters, their gradients and moments take ${gigabytes(needed)}, and this machine has ${gigabytes(available)} of memory`,
    hint: 'use fewer layers or a smaller hiddenSize',
  });
}

/** Temporary memory of a step: activations of a layer and their gradients, and a part of the logits. */
const passingBytes = (tokens: number, { hiddenSize, intermediateSize }: ModelConfig): number =>
  tokens * 4 * (6 * hiddenSize + 2 * intermediateSize);

export interface TrainingMemory {
  /** Tokens of the largest micro-batch. */
  tokens: number;
  recompute: boolean;
  /** Parameters of further models that are not trained. */
  readParameters?: number;
  /** Parameters of a second model that is trained. */
  trainedParameters?: number;
}

/**
 * Estimates the peak memory of training in bytes. There is no estimate for a backend without kernels for the
 * sub-layers, or for a model whose attention or norms are composed of other operations.
 *
 * - A parameter takes a weight, its gradient and two moments, 4 bytes each, and its copies as operands of products.
 * - For the backward pass a layer keeps, per token, its two inputs with 4 bytes per number, and queries, keys, values,
 *   attention outputs, gate and up as operands; with `recompute` it keeps only the inputs.
 * - The backend says how many bytes a number takes in an operand.
 */
export function trainingMemory(model: Model, memory: TrainingMemory): { bytes?: number } {
  const { backend, config } = model;
  const hasKernels = backend.kernels.selfAttention && backend.kernels.gatedMlp;
  if (!hasKernels || model.composesAttention || !finalNormOf(model).fused) return {};
  const operand = backend.limits.operandBytes;
  const { layers, hiddenSize, intermediateSize, heads, kvHeads, headDim } = config;
  const { tokens, recompute, readParameters = 0, trainedParameters = 0 } = memory;
  const weights =
    (parameterBytes + operand) * (parameterCount(config) + trainedParameters) + (4 + operand) * readParameters;
  const inputs = 8 * hiddenSize;
  const saved = operand * ((2 * heads + 2 * kvHeads) * headDim + 2 * intermediateSize) + 4 * heads;
  const perToken = recompute ? layers * inputs + saved : layers * (inputs + saved);
  return { bytes: processBytes + weights + tokens * perToken + passingBytes(tokens, config) };
}
