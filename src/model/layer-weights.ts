import type { AttentionShape } from '../tensor/backends/kernels/self-attention.ts';
import type { Tensor } from '../tensor/tensor.ts';
import type { ModelConfig } from './config.ts';
import type { Attention } from './families/family.ts';
import { attentionOf, rotaryOf } from './family.ts';
import type { OfHeads } from './head-norms.ts';
import { normKindOf, wiringOf } from './norm.ts';
import type { Norm } from './norm-kinds/norm-kind.ts';
import { inLayer } from './parameters.ts';
import { type Part, packedNames } from './part.ts';
import type { Junction, Wiring } from './placements/placement.ts';

/** The matrices of self-attention: qkv [(heads + 2·kvHeads)·headDim, hidden], o [hidden, heads·headDim]. */
export interface Projections {
  qkv: Tensor;
  o: Tensor;
}

/** A layer's self-attention: its projections, and what its family and its placement add. */
export interface AttentionWeights extends Projections {
  /** The family's own tensors, by the names that its equation uses. */
  own: Readonly<Record<string, Tensor>>;
  /** The family's equation, where it has one. */
  equation: Attention['equation'];
  /** Norms of heads, where there are some. */
  headNorms: OfHeads<Norm> | undefined;
}

/** How a sub-layer is joined to the residual stream: its norms and tensors by the names that the equation uses. */
export interface BoundJunction {
  norms: Readonly<Record<string, Norm>>;
  own: Readonly<Record<string, Tensor>>;
}

/**
 * The weights of a layer by what they are for, its heads, and how its sub-layers are joined to the residual stream.
 */
export interface LayerWeights {
  attention: AttentionWeights;
  /** gateUp [2·intermediate, hidden] (gate in the first half of the rows), down [hidden, intermediate]. */
  mlp: { gateUp: Tensor; down: Tensor };
  junctions: Record<'attention' | 'mlp', BoundJunction>;
  shape: AttentionShape;
  wiring: Wiring;
}

/** A layer of a model: its weights as the layer uses them, and the tensors that these are read or computed from. */
export interface Layer {
  tensors: readonly Tensor[];
  /**
   * Called in the layer's segment of a recording, so that weights which are computed, such as W + s·B·A, have gradients
   * and are computed again where layers are.
   */
  weights(): LayerWeights;
}

/** Layer `layer` of a model with these parameters, which are its weights. */
export function layerOf(config: ModelConfig, parameters: ReadonlyMap<string, Tensor>, layer: number): Layer {
  const tensors: Tensor[] = [];
  const tensorNamed = (name: string): Tensor => {
    const tensor = parameters.get(inLayer(layer, name));
    if (!tensor) throw new Error(`the model has no parameter ${inLayer(layer, name)}`);
    tensors.push(tensor);
    return tensor;
  };
  const tensorsOf = (parts: Readonly<Record<string, Part>>) => mapValues(parts, ({ name }) => tensorNamed(name));
  const { heads, kvHeads, headDim, hiddenSize, rmsNormEps } = config;
  const kind = normKindOf(config);
  const normNamed = (name: string, width: number): Norm => kind.bind(tensorsOf(kind.parts(name, width)), rmsNormEps);
  const bound = ({ norms, parts = {} }: Junction): BoundJunction => ({
    norms: mapValues(norms, (name) => normNamed(name, hiddenSize)),
    own: tensorsOf(parts),
  });
  const wiring = wiringOf(config, layer);
  const { parts, equation, headNorms } = attentionOf(config, layer);
  const normed = Object.entries({ ...headNorms, ...wiring.headNorms });
  const attention: AttentionWeights = {
    qkv: tensorNamed(packedNames.qkv),
    o: tensorNamed('self_attn.o_proj.weight'),
    own: tensorsOf(parts),
    equation,
    headNorms:
      normed.length > 0 ? Object.fromEntries(normed.map(([of, name]) => [of, normNamed(name, headDim)])) : undefined,
  };
  const mlp = { gateUp: tensorNamed(packedNames.gateUp), down: tensorNamed('mlp.down_proj.weight') };
  const junctions = { attention: bound(wiring.attention), mlp: bound(wiring.mlp) };
  const shape = { heads, kvHeads, headDim, rotary: rotaryOf(config, layer) };
  const weights = { attention, mlp, junctions, shape, wiring };
  return { tensors, weights: () => weights };
}

function mapValues<A, B>(record: Readonly<Record<string, A>>, map: (value: A) => B): Record<string, B> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, map(value)]));
}
