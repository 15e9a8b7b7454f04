import { add } from '../../tensor/primitives.ts';
import type { ModelConfig } from '../config.ts';
import { normPart } from '../part.ts';
import type { Placement, Wiring } from './placement.ts';
import { readPostLayers } from './post-layers.ts';

/** Pre-LN (Xiong et al. 2020), as Llama: x + F(N(x)). */
export const preLn = (config: ModelConfig): Wiring<'norm'> => ({
  kind: 'Pre-LN',
  parts: {
    attention: { norm: normPart('input_layernorm', config) },
    mlp: { norm: normPart('post_attention_layernorm', config) },
  },
  addsOutputs: true,
  join: (x, { norm }, f, eps) => add(x, f(x, { weight: norm, eps })),
  decodingKernel: 'pre',
});

export const pre: Placement = {
  name: 'pre',
  describe: (_settings, layers) => `Pre-LN in all ${layers} layers`,
  keys: {},
  resolve: () => ({}),
  write: () => ({ post_layers: 0 }),
  read(said, layers) {
    readPostLayers('pre', said, layers, 0);
    return {};
  },
  candidates: () => [{}],
  wiring: (_layer, config) => preLn(config),
};
