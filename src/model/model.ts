import type { Backend } from '../tensor/backends/backend.ts';
import type { Norm } from '../tensor/backends/kernels/rms-norm.ts';
import type { AttentionShape } from '../tensor/backends/kernels/self-attention.ts';
import { sequenceLayout } from '../tensor/fused/attention.ts';
import { gatedMlp } from '../tensor/fused/gated-mlp.ts';
import { linear } from '../tensor/fused/linear.ts';
import {
  type IdentityProjections,
  identityProjections,
  projectedAttention,
} from '../tensor/fused/projected-attention.ts';
import { rmsNorm } from '../tensor/fused/rms-norm.ts';
import { selfAttention } from '../tensor/fused/self-attention.ts';
import { normed } from '../tensor/fused/sub-layer.ts';
import { gather } from '../tensor/primitives.ts';
import { fromHost } from '../tensor/scope.ts';
import { segment } from '../tensor/tape.ts';
import { sizeOf, Tensor } from '../tensor/tensor.ts';
import type { ModelConfig } from './config.ts';
import type { AttentionSteps } from './families/family.ts';
import { type Layer, type LayerWeights, layerOf, type Projections } from './layer-weights.ts';
import { embeddingNormPart } from './norm.ts';
import { modelParameters } from './parameters.ts';
import type { SubLayer } from './placements/placement.ts';

/** The rows that a forward pass takes: tokens of several sequences, one after the other. */
export interface ModelInput {
  /** [rows] */
  tokens: Int32Array;
  /** [rows], from 0 in each sequence. */
  positions: Int32Array;
  /** [sequences + 1], row offsets. */
  segments: Int32Array;
}

/** A Llama-style decoder: its shape and its weights (float32) on a backend. */
export interface Model {
  readonly config: ModelConfig;
  readonly backend: Backend;
  readonly parameters: ReadonlyMap<string, Tensor>;
  readonly layers: readonly Layer[];
  /** Has a layer's attention an equation of its own? */
  readonly hasEquations: boolean;
}

/** A model whose weights are not set yet. */
export function emptyModel(config: ModelConfig, backend: Backend): Model {
  const parameters = modelParameters(config).map(({ name, shape }): [string, Tensor] => {
    const storage = backend.allocate(sizeOf(shape), 'f32');
    return [name, new Tensor(backend, shape, { storage, owners: 1 })];
  });
  return modelOf(config, backend, new Map(parameters));
}

/** A model of these parameters, named as `modelParameters` names them. */
export function modelOf(config: ModelConfig, backend: Backend, parameters: ReadonlyMap<string, Tensor>): Model {
  const layers = Array.from({ length: config.layers }, (_, layer) => layerOf(config, parameters, layer));
  const hasEquations = layers.some((layer) => layer.weights().attention.equation !== undefined);
  return { config, backend, parameters, layers, hasEquations };
}

/** A tensor that training changes. */
export interface Trainable {
  readonly tensor: Tensor;
  /** Does weight decay pull it towards 0? */
  readonly decays: boolean;
}

/** All parameters of a model, by name. */
export function trainablesOf({ config, parameters }: Model): Map<string, Trainable> {
  return new Map(modelParameters(config).map(({ name, decays }) => [name, { tensor: parameters.get(name)!, decays }]));
}

export function releaseModel(model: Model): void {
  for (const parameter of model.parameters.values()) parameter.release();
}

/** The matrix [vocabulary, hidden] that turns hidden states into logits. */
export function headOf(model: Model): Tensor {
  return parameter(model, model.config.tieWordEmbeddings ? 'model.embed_tokens.weight' : 'lm_head.weight');
}

/** The embedding [vocabulary, hidden] of the tokens. */
export function embeddingOf(model: Model): Tensor {
  return parameter(model, 'model.embed_tokens.weight');
}

/** The weight [hidden] of the norm before the head. */
export function finalNormOf(model: Model): Tensor {
  return parameter(model, 'model.norm.weight');
}

/** The matrix [1, hidden] that turns the hidden state of the last token into a score. */
export function scoreHeadOf(model: Model): Tensor {
  return parameter(model, 'score.weight');
}

/** Hidden states after the final norm, [rows, hidden]. */
export function hiddenStates(model: Model, input: ModelInput, stream: StreamOptions = {}): Tensor {
  const layout = sequenceLayout(model.backend, input.positions, input.segments);
  const attend: SelfAttention = (x, { qkv, o }, shape, _, norm) => selfAttention(x, qkv, o, layout, shape, norm);
  const kept = [layout.positionsTensor, layout.segmentsTensor];
  return decoder(model, fromHost(model.backend, input.tokens), attend, {
    ...stream,
    kept,
    identities: identitiesFor(model),
  });
}

/** Self-attention of hidden states x [rows, hidden], normalised first where it is given a norm. */
export type SelfAttention = (
  x: Tensor,
  projections: Projections,
  shape: AttentionShape,
  layer: number,
  norm?: Norm,
) => Tensor;

/** The residual stream, for those who look into it. */
export interface StreamOptions {
  /** Where it begins, [rows, hidden]: the embedding of the tokens where it is left out. */
  from?: Tensor;
  /** Sees it where it begins and after each layer. */
  visit?: (stream: Tensor) => void;
}

export interface DecoderOptions extends StreamOptions {
  /** What `attend` uses besides what it is given. */
  kept?: readonly Tensor[];
  /** The residual stream after a layer in one operation, where there is one for that layer. No gradient. */
  wholeLayer?: (stream: Tensor, weights: LayerWeights, layer: number) => Tensor | undefined;
  /** What `identitiesFor` gives for the model. */
  identities?: IdentityProjections | undefined;
}

/** What layers attend with whose family has an equation of its own; undefined for a model without such layers. */
export function identitiesFor({ backend, config, hasEquations }: Model): IdentityProjections | undefined {
  return hasEquations ? identityProjections(backend, config) : undefined;
}

/**
 * The decoder, for training, evaluation and generation, with its attention left open: training attends inside the
 * batch, generation over a cache. tokens [rows] (i32) → hidden states after the final norm [rows, hidden].
 */
export function decoder(model: Model, tokens: Tensor, attend: SelfAttention, options: DecoderOptions = {}): Tensor {
  return rmsNorm(residualStream(model, tokens, attend, options), finalNormOf(model), model.config.rmsNormEps);
}

/** The residual stream after the last layer, before the final norm: tokens [rows] (i32) → [rows, hidden]. */
export function residualStream(
  model: Model,
  tokens: Tensor,
  attend: SelfAttention,
  { from = embedded(model, tokens), visit, kept = [], wholeLayer, identities }: DecoderOptions = {},
): Tensor {
  const used = [...kept, ...Object.values<Tensor>({ ...identities })];
  let stream = from;
  visit?.(stream);
  for (const [index, layer] of model.layers.entries()) {
    stream =
      wholeLayer?.(stream, layer.weights(), index) ??
      segment(stream, [...layer.tensors, ...used], (x) => decoderLayer(model, index, x, attend, identities));
    visit?.(stream);
  }
  return stream;
}

/** The residual stream that the first layer gets: tokens [rows] (i32) → [rows, hidden]. */
function embedded(model: Model, tokens: Tensor): Tensor {
  const embedding = gather(embeddingOf(model), tokens);
  const norm = embeddingNormPart(model.config);
  return norm ? rmsNorm(embedding, parameter(model, norm.name), model.config.rmsNormEps) : embedding;
}

function decoderLayer(
  { config, layers }: Model,
  index: number,
  x: Tensor,
  attend: SelfAttention,
  identities: IdentityProjections | undefined,
): Tensor {
  const { attention: weights, mlp: matrices, own, shape, wiring } = layers[index]!.weights();
  const { qkv, o, equation } = weights;
  const steps: AttentionSteps = {
    qkv: (x) => linear(x, qkv),
    attend: (projected) => projectedAttention(projected, (x, by) => attend(x, by, shape, index), identities!, shape),
    o: (attended) => linear(attended, o),
  };
  const attention: SubLayer = (x, norm) =>
    equation ? equation(normed(x, norm), weights.own, steps) : attend(x, weights, shape, index, norm);
  const mlp: SubLayer = (x, norm) => gatedMlp(x, matrices.gateUp, matrices.down, norm);
  const eps = config.rmsNormEps;
  return wiring.join(wiring.join(x, own.attention, attention, eps), own.mlp, mlp, eps);
}

function parameter(model: Model, name: string): Tensor {
  const tensor = model.parameters.get(name);
  if (!tensor) throw new Error(`the model has no parameter ${name}`);
  return tensor;
}
