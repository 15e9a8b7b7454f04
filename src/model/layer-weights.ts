import type { AttentionShape } from '../tensor/backends/kernels.ts';
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
 * One layer of a model: its tensors by what they are for, its heads, and how they are joined to the residual stream.
 */
export interface LayerWeights {
  attention: AttentionWeights;
  /** gateUp [2·intermediate, hidden] (gate in the first half of the rows), down [hidden, intermediate]. */
  mlp: { gateUp: Tensor; down: Tensor };
  /** Tensors of the norm placement, by the names that its equation uses. */
  own: Record<'attention' | 'mlp', Readonly<Record<string, Tensor>>>;
  shape: AttentionShape;
  wiring: Wiring;
  /** All of them. */
  tensors: readonly Tensor[];
}

/** Layer `layer` of a model with these parameters. */
export function layerWeights(
  config: ModelConfig,
  parameters: ReadonlyMap<string, Tensor>,
  layer: number,
): LayerWeights {
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
  return { attention, mlp, own, shape: { heads, kvHeads, headDim, rotary: rotaryOf(config) }, wiring, tensors };
}
