import { add } from '../../tensor/primitives.ts';
import type { Junction, Placement, Wiring } from './placement.ts';
import { readPostLayers } from './post-layers.ts';

const postSubLayer = (norm: string): Junction<'norm'> => ({
  norms: { norm },
  join: (x, { norm }, f) => norm.apply(add(x, f(x))),
});

/** Post-LN (Vaswani et al. 2017): N(x + F(x)). Names of the norms are those of the Mix-LN authors' code. */
export const postLn: Wiring = {
  kind: 'Post-LN',
  attention: postSubLayer('post_attention_layernorm'),
  mlp: postSubLayer('post_feedforward_layernorm'),
  decodingKernel: 'post',
};

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
  wiring: () => postLn,
};
