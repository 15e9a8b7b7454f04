import type { AttentionShape } from '../tensor/backends/kernels/self-attention.ts';
import type { Tensor } from '../tensor/tensor.ts';
import type { ModelConfig } from './config.ts';
import type { Attention } from './families/family.ts';
import { attentionOf, rotaryOf } from './family.ts';
import { wiringOf } from './norm.ts';
import { inLayer } from './parameters.ts';
import { type Part, packedNames } from './part.ts';
import type { Wiring } from './placements/placement.ts';

/** The matrices of self-attention: qkv [(heads + 2·kvHeads)·headDim, hidden], o [hidden, heads·headDim]. */
export interface Projections {
  qkv: Tensor;
  o: Tensor;
}

/** A layer's self-attention: its projections, and what its family adds. */
export interface AttentionWeights extends Projections {
  /** The family's own tensors, by the names that its equation uses. */
  own: Readonly<Record<string, Tensor>>;
  /** The family's equation, where it has one. */
  equation: Attention['equation'];
}

/**
 * The weights of a layer by what they are for, its heads, and how its sub-layers are joined to the residual stream.
 */
export interface LayerWeights {
  attention: AttentionWeights;
  /** gateUp [2·intermediate, hidden] (gate in the first half of the rows), down [hidden, intermediate]. */
  mlp: { gateUp: Tensor; down: Tensor };
  /** Tensors of the norm placement, by the names that its equation uses. */
  own: Record<'attention' | 'mlp', Readonly<Record<string, Tensor>>>;
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
  const tensorNamed = (name: string): Tensor => {
    const tensor = parameters.get(inLayer(layer, name));
    if (!tensor) throw new Error(`the model has no parameter ${inLayer(layer, name)}`);
    return tensor;
  };
  const tensorsOf = (parts: Readonly<Record<string, Part>>): Record<string, Tensor> =>
    Object.fromEntries(Object.entries(parts).map(([key, { name }]) => [key, tensorNamed(name)]));
  const wiring = wiringOf(config, layer);
  const { parts, equation } = attentionOf(config, layer);
  const { heads, kvHeads, headDim } = config;
  const matrices = { qkv: tensorNamed(packedNames.qkv), o: tensorNamed('self_attn.o_proj.weight') };
  const attention = { ...matrices, own: tensorsOf(parts), equation };
  const mlp = { gateUp: tensorNamed(packedNames.gateUp), down: tensorNamed('mlp.down_proj.weight') };
  const own = { attention: tensorsOf(wiring.parts.attention), mlp: tensorsOf(wiring.parts.mlp) };
  const groups = [matrices, attention.own, mlp, own.attention, own.mlp];
  const tensors = groups.flatMap((group) => Object.values<Tensor>({ ...group }));
  const shape = { heads, kvHeads, headDim, rotary: rotaryOf(config, layer) };
  const weights = { attention, mlp, own, shape, wiring };
  return { tensors, weights: () => weights };
}
