import { rmsNorm } from '../../tensor/fused/rms-norm.ts';
import { add } from '../../tensor/primitives.ts';
import type { ModelConfig } from '../config.ts';
import { normPart } from '../part.ts';
import type { Placement, Wiring } from './placement.ts';
import { readPostLayers } from './post-layers.ts';

/** Post-LN (Vaswani et al. 2017): N(x + F(x)). Names of the norms are those of the Mix-LN authors' code. */
export const postLn = (config: ModelConfig): Wiring<'norm'> => ({
  kind: 'Post-LN',
  parts: {
    attention: { norm: normPart('post_attention_layernorm', config) },
    mlp: { norm: normPart('post_feedforward_layernorm', config) },
  },
  join: (x, { norm }, f, eps) => rmsNorm(add(x, f(x)), norm, eps),
  decodingKernel: 'post',
});

export const post: Placement = {
  name: 'post',
  describe: (_settings, layers) => `Post-LN in all ${layers} layers`,
  keys: {},
  resolve: () => ({}),
  write: (_settings, layers) => ({ post_layers: layers }),
  read(said, layers) {
    readPostLayers('post', said, layers, layers);
    return {};
  },
  candidates: () => [{}],
  wiring: (_layer, config) => postLn(config),
};
