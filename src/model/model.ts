import type { Backend } from '../tensor/backends/backend.ts';
import type { AttentionShape, DecoderLayerWeights, Norm } from '../tensor/backends/kernels.ts';
import { type SequenceLayout, sequenceLayout } from '../tensor/fused/attention.ts';
import { gatedMlp } from '../tensor/fused/gated-mlp.ts';
import { rmsNorm } from '../tensor/fused/rms-norm.ts';
import { selfAttention } from '../tensor/fused/self-attention.ts';
import { gather } from '../tensor/primitives.ts';
import { fromHost } from '../tensor/scope.ts';
import { segment } from '../tensor/tape.ts';
import { sizeOf, Tensor } from '../tensor/tensor.ts';
import { isPostLayer, type ModelConfig } from './config.ts';
import { placementOfLayer, type SubLayer } from './norm-placement.ts';
import { modelParameters } from './parameters.ts';

/** The rows that a forward pass takes: tokens of several sequences, one behind the other. */
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
}

/** A model whose weights are not set yet. */
export function emptyModel(config: ModelConfig, backend: Backend): Model {
  const parameters = modelParameters(config).map(({ name, shape }): [string, Tensor] => {
    const storage = backend.allocate(sizeOf(shape), 'f32');
    return [name, new Tensor(backend, shape, { storage, owners: 1 })];
  });
  return { config, backend, parameters: new Map(parameters) };
}

export function releaseModel(model: Model): void {
  for (const parameter of model.parameters.values()) parameter.release();
}

export function attentionShape({ heads, kvHeads, headDim, ropeTheta }: ModelConfig): AttentionShape {
  return { heads, kvHeads, headDim, ropeTheta };
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

/** Hidden states after the final norm, [rows, hidden]. `visit` sees the residual stream: the embedding, then each layer. */
export function hiddenStates(model: Model, input: ModelInput, visit?: (stream: Tensor) => void): Tensor {
  const layout: SequenceLayout = sequenceLayout(model.backend, input.positions, input.segments);
  const shape = attentionShape(model.config);
  const attend: SelfAttention = (x, { qkv, o }, _, norm) => selfAttention(x, qkv, o, layout, shape, norm);
  return decoder(model, input.tokens, attend, { kept: [layout.positionsTensor, layout.segmentsTensor], visit });
}

/** Self-attention of hidden states x [rows, hidden], normalised first where it is given a norm, with a layer's projections. */
export type SelfAttention = (x: Tensor, weights: { qkv: Tensor; o: Tensor }, layer: number, norm?: Norm) => Tensor;

/**
 * The decoder with its attention left open: training attends inside the batch, generation over a cache.
 * tokens [rows] → hidden states after the final norm [rows, hidden]. `kept`: what `attend` uses besides what it is given.
 */
export function decoder(
  model: Model,
  tokens: Int32Array,
  attend: SelfAttention,
  { kept = [], visit }: { kept?: readonly Tensor[]; visit?: ((stream: Tensor) => void) | undefined } = {},
): Tensor {
  const { config, backend } = model;
  let stream = gather(embeddingOf(model), fromHost(backend, tokens));
  visit?.(stream);
  for (let layer = 0; layer < config.layers; layer++) {
    const weights = layerWeights(model, layer);
    const used = [...Object.values<Tensor>({ ...weights }), ...kept];
    stream = segment(stream, used, (x) => decoderLayer(model, layer, weights, x, attend));
    visit?.(stream);
  }
  return rmsNorm(stream, finalNormOf(model), config.rmsNormEps);
}

function decoderLayer(
  { config }: Model,
  layer: number,
  weights: DecoderLayerWeights,
  x: Tensor,
  attend: SelfAttention,
): Tensor {
  const norm = (weight: Tensor): Norm => ({ weight, eps: config.rmsNormEps });
  const attention: SubLayer = (x, norm) => attend(x, weights, layer, norm);
  const mlp: SubLayer = (x, norm) => gatedMlp(x, weights.gateUp, weights.down, norm);

  const place = placementOfLayer(config, layer);
  return place(place(x, norm(weights.attentionNorm), attention), norm(weights.mlpNorm), mlp);
}

export function layerWeights(model: Model, layer: number): DecoderLayerWeights {
  const weight = (name: string): Tensor => parameter(model, `model.layers.${layer}.${name}.weight`);
  const [attentionNorm, mlpNorm] = isPostLayer(model.config, layer)
    ? ['post_attention_layernorm', 'post_feedforward_layernorm']
    : ['input_layernorm', 'post_attention_layernorm'];
  return {
    attentionNorm: weight(attentionNorm!),
    qkv: weight('self_attn.qkv_proj'),
    o: weight('self_attn.o_proj'),
    mlpNorm: weight(mlpNorm!),
    gateUp: weight('mlp.gate_up_proj'),
    down: weight('mlp.down_proj'),
  };
}

function parameter(model: Model, name: string): Tensor {
  const tensor = model.parameters.get(name);
  if (!tensor) throw new Error(`the model has no parameter ${name}`);
  return tensor;
}
