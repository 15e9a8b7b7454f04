import type { Placement } from './placement.ts';
import { postLn } from './post.ts';
import { describeUniform, postLayersKey, readPostLayers, resolvePostLayers, somePostLayers } from './post-layers.ts';
import { preLn } from './pre.ts';

/**
 * Mix-LN upside down: the last `postLayers` layers are Post-LN, the rest Pre-LN. The Mix-LN authors' code has it as
 * `pre_post`, with seven Pre-LN layers in models of any depth.
 */
export const mixReversed: Placement = {
  name: 'mix-reversed',
  describe: (settings, layers) =>
    describeUniform(settings, layers) ??
    `Pre-LN in the first ${layers - settings.postLayers!} of ${layers} layers, Post-LN in the rest`,
  keys: postLayersKey,
  resolve: resolvePostLayers,
  write: ({ postLayers }) => ({ post_layers: postLayers! }),
  read: (said, layers) => ({ postLayers: readPostLayers('mix-reversed', said, layers) }),
  candidates: somePostLayers,
  wiring: (layer, config) => (layer < config.layers - config.norm.settings.postLayers! ? preLn : postLn),
};
