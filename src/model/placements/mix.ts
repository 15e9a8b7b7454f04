import type { Placement } from './placement.ts';
import { postLn } from './post.ts';
import { describeUniform, postLayersKey, readPostLayers, resolvePostLayers, somePostLayers } from './post-layers.ts';
import { preLn } from './pre.ts';

/** Mix-LN (Li et al. 2024, eq. 5 and 6): the first `postLayers` layers are Post-LN, the rest Pre-LN. */
export const mix: Placement = {
  name: 'mix',
  describe: (settings, layers) =>
    describeUniform(settings, layers) ??
    `Post-LN in the first ${settings.postLayers} of ${layers} layers, Pre-LN in the rest`,
  keys: postLayersKey,
  resolve: resolvePostLayers,
  write: ({ postLayers }) => ({ post_layers: postLayers! }),
  read: (said, layers) => ({ postLayers: readPostLayers('mix', said, layers) }),
  candidates: somePostLayers,
  wiring: (layer, config) => (layer < config.norm.settings.postLayers! ? postLn : preLn),
};
