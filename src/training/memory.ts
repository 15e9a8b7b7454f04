import { RequestError } from '../errors.ts';
import type { ModelConfig } from '../model/config.ts';
import type { Model } from '../model/model.ts';
import { parameterCount } from '../model/parameters.ts';
import type { Limits } from '../tensor/backends/limits.ts';

/** What a process takes before there is a model: Node, the engine, texts and rows. */
const processBytes = 200e6;

/** Of a parameter in training: its weight, its gradient and two moments, all float32. */
const parameterBytes = 16;

/** @throws RequestError where these alone are larger than the memory, before any of it is asked for */
export function requireTrainingMemory(config: ModelConfig, { memory: available }: Pick<Limits, 'memory'>): void {
  const parameters = parameterCount(config);
  const needed = parameterBytes * parameters;
  if (needed <= available) return;
  const gigabytes = (bytes: number): string => `${Math.ceil(bytes / 1e9).toLocaleString('en')} GB`;
  const millions = Math.round(parameters / 1e6).toLocaleString('en');
  throw new RequestError({
    where: 'model',
    message: `${millions} million parameters, their gradients and moments take ${gigabytes(needed)}, and this machine has ${gigabytes(available)} of memory`,
    hint: 'take fewer layers or a smaller hiddenSize',
  });
}

/** What a step works with that is not saved: rows of a layer and their gradients, a part of the logits. */
const passingBytes = (tokens: number, { hiddenSize, intermediateSize }: ModelConfig): number =>
  tokens * 4 * (6 * hiddenSize + 2 * intermediateSize);

export interface TrainingMemory {
  /** Of the largest micro-batch. */
  tokens: number;
  recompute: boolean;
  /** Parameters of models that are there beside the one that is trained, and are only read. */
  readParameters?: number;
  /** Parameters of a second model that is trained. */
  trainedParameters?: number;
}

/**
 * Bytes of memory that training takes at its peak, an estimate; nothing for a backend that has no kernels for the
 * sub-layers, and for a family whose attention has an equation of its own:
 *
 * - a parameter is a weight, its gradient and two moments, 4 bytes each, and its copies as operands of products
 * - a layer keeps for its gradient, of each token, its two inputs in 4 bytes a number, and queries, keys, values, what
 *   attention gives, gate and up as operands; with `recompute` only the inputs
 * - how many bytes a number of an operand takes, the backend says
 */
export function trainingMemory(model: Model, memory: TrainingMemory): { bytes?: number } {
  const { backend, config } = model;
  if (!backend.kernels.selfAttention || !backend.kernels.gatedMlp || model.hasEquations) return {};
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
