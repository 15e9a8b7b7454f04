import { add } from '../../tensor/primitives.ts';
import type { Junction, Placement, Wiring } from './placement.ts';
import { readPostLayers } from './post-layers.ts';

const preSubLayer = (norm: string): Junction<'norm'> => ({
  norms: { norm },
  join: (x, { norm }, f) => add(x, f(x, norm)),
});

/** Pre-LN (Xiong et al. 2020), as Llama: x + F(N(x)). */
export const preLn: Wiring = {
  kind: 'Pre-LN',
  attention: preSubLayer('input_layernorm'),
  mlp: preSubLayer('post_attention_layernorm'),
  addsOutputs: true,
  decodingKernel: 'pre',
};

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
  wiring: () => preLn,
};
