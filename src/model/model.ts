import type { Backend } from '../tensor/backends/backend.ts';
import type { Norm as RmsNorm } from '../tensor/backends/kernels/rms-norm.ts';
import type { AttentionShape } from '../tensor/backends/kernels/self-attention.ts';
import { sequenceLayout } from '../tensor/fused/attention.ts';
import { gatedMlp } from '../tensor/fused/gated-mlp.ts';
import { linear } from '../tensor/fused/linear.ts';
import {
  type IdentityProjections,
  identityProjections,
  projectedAttention,
} from '../tensor/fused/projected-attention.ts';
import { selfAttention } from '../tensor/fused/self-attention.ts';
import { gather } from '../tensor/primitives.ts';
import { fromHost } from '../tensor/scope.ts';
import { segment } from '../tensor/tape.ts';
import { sizeOf, Tensor } from '../tensor/tensor.ts';
import type { ModelConfig } from './config.ts';
import type { Attention, AttentionSteps } from './families/family.ts';
import { withNormedHeads } from './head-norms.ts';
import { type Layer, type LayerWeights, layerOf, type Projections } from './layer-weights.ts';
import { embeddingNormOf, normKindOf } from './norm.ts';
import type { Norm } from './norm-kinds/norm-kind.ts';
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
  /** Is the attention of a layer composed of its steps, because its family has an equation or heads have norms? */
  readonly composesAttention: boolean;
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
  const composesAttention = layers.some((layer) => isComposed(layer.weights()));
  return { config, backend, parameters, layers, composesAttention };
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

/** The norm before the head. */
export function finalNormOf(model: Model): Norm {
  return normNamed(model, 'model.norm');
}

/** A norm of hidden states that stands in no layer. */
function normNamed(model: Model, name: string): Norm {
  const { hiddenSize, rmsNormEps } = model.config;
  const kind = normKindOf(model.config);
  const tensors = Object.entries(kind.parts(name, hiddenSize)).map(([key, part]) => [key, parameter(model, part.name)]);
  return kind.bind(Object.fromEntries(tensors), rmsNormEps);
}

/** Does a layer attend step by step, for which there are no kernels of the whole? */
export function isComposed({ attention: { equation, headNorms } }: LayerWeights): boolean {
  return equation !== undefined || headNorms !== undefined;
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
  norm?: RmsNorm,
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

/** What layers attend with whose attention is composed of its steps; undefined for a model without such layers. */
export function identitiesFor({ backend, config, composesAttention }: Model): IdentityProjections | undefined {
  return composesAttention ? identityProjections(backend, config) : undefined;
}

/**
 * The decoder, for training, evaluation and generation, with its attention left open: training attends inside the
 * batch, generation over a cache. tokens [rows] (i32) → hidden states after the final norm [rows, hidden].
 */
export function decoder(model: Model, tokens: Tensor, attend: SelfAttention, options: DecoderOptions = {}): Tensor {
  return finalNormOf(model).apply(residualStream(model, tokens, attend, options));
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
  const name = embeddingNormOf(model.config);
  return name === undefined ? embedding : normNamed(model, name).apply(embedding);
}

function decoderLayer(
  { layers }: Model,
  index: number,
  x: Tensor,
  attend: SelfAttention,
  identities: IdentityProjections | undefined,
): Tensor {
  const weights = layers[index]!.weights();
  const { attention, mlp: matrices, junctions, shape, wiring } = weights;
  const { qkv, o, own, equation = plainAttention, headNorms } = attention;
  const steps: AttentionSteps = {
    qkv: (x) => linear(x, qkv),
    attend(projected) {
      const normed = headNorms ? withNormedHeads(projected, headNorms, shape) : projected;
      return projectedAttention(normed, (x, by) => attend(x, by, shape, index), identities!, shape);
    },
    o: (attended) => linear(attended, o),
  };
  const attends: SubLayer = isComposed(weights)
    ? (x, norm) => equation(norm ? norm.apply(x) : x, own, steps)
    : (x, norm) => attend(unfused(x, norm), attention, shape, index, norm?.fused);
  const feeds: SubLayer = (x, norm) => gatedMlp(unfused(x, norm), matrices.gateUp, matrices.down, norm?.fused);
  const attended = wiring.attention.join(x, junctions.attention.norms, attends, junctions.attention.own);
  return wiring.mlp.join(attended, junctions.mlp.norms, feeds, junctions.mlp.own);
}

const plainAttention: NonNullable<Attention['equation']> = (x, _own, { qkv, attend, o }) => o(attend(qkv(x)));

/** What a kernel takes that may fuse the norm in front of it: x as it is, or normalised where it cannot. */
function unfused(x: Tensor, norm: Norm | undefined): Tensor {
  return norm && !norm.fused ? norm.apply(x) : x;
}

function parameter(model: Model, name: string): Tensor {
  const tensor = model.parameters.get(name);
  if (!tensor) throw new Error(`the model has no parameter ${name}`);
  return tensor;
}
