import type { AttentionShape } from '../tensor/backends/kernels/self-attention.ts';
import type { Tensor } from '../tensor/tensor.ts';
import type { ModelConfig } from './config.ts';
import { wiringOf } from './norm.ts';
import { inLayer } from './parameters.ts';
import { type Part, packedNames } from './part.ts';
import type { Wiring } from './placements/placement.ts';
import { rotaryOf } from './rotary.ts';

/** The matrices of a layer's self-attention: qkv [(heads + 2·kvHeads)·headDim, hidden], o [hidden, heads·headDim]. */
export interface AttentionWeights {
  qkv: Tensor;
  o: Tensor;
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
  const { heads, kvHeads, headDim } = config;
  const attention = { qkv: tensorNamed(packedNames.qkv), o: tensorNamed('self_attn.o_proj.weight') };
  const mlp = { gateUp: tensorNamed(packedNames.gateUp), down: tensorNamed('mlp.down_proj.weight') };
  const own = { attention: tensorsOf(wiring.parts.attention), mlp: tensorsOf(wiring.parts.mlp) };
  const tensors = [attention, mlp, own.attention, own.mlp].flatMap((group) => Object.values<Tensor>({ ...group }));
  const weights = { attention, mlp, own, shape: { heads, kvHeads, headDim, rotary: rotaryOf(config) }, wiring };
  return { tensors, weights: () => weights };
}
