import { z } from 'zod';
import type { NormSettings } from '../config.ts';
import { type Placement, SettingProblem } from './placement.ts';
import { postLn } from './post.ts';
import { readPostLayers } from './post-layers.ts';
import { preLn } from './pre.ts';

const share = z.string().regex(/^\d+(\.\d+)?%$/, 'a number of layers, or a share such as 25%');

/** Mix-LN (Li et al. 2024, eq. 5 and 6): the first `postLayers` layers are Post-LN, the rest Pre-LN. */
export const mix: Placement = {
  name: 'mix',
  describe({ postLayers }, layers) {
    if (postLayers === 0) return `Pre-LN in all ${layers} layers`;
    if (postLayers === layers) return `Post-LN in all ${layers} layers`;
    return `Post-LN in the first ${postLayers} of ${layers} layers, Pre-LN in the rest`;
  },
  keys: {
    postLayers: z
      .union([z.int().nonnegative(), share])
      .default('25%')
      .describe('Post-LN layers of `mix`, counted from the first: a number or a share'),
  },
  resolve({ postLayers }, layers) {
    const count = layerCount(postLayers as number | string, layers);
    if (count <= layers) return { postLayers: count };
    const message = `${postLayers} Post-LN layers, but the model has ${layers} layers; give 0 to ${layers} or a share such as 25%`;
    throw new SettingProblem('postLayers', message);
  },
  write: ({ postLayers }) => ({ post_layers: postLayers! }),
  read: (said, layers) => ({ postLayers: readPostLayers('mix', said, layers) }),
  *candidates(layers): Generator<NormSettings> {
    for (let postLayers = 1; postLayers < layers; postLayers++) yield { postLayers };
  },
  wiring: (layer, config) => (layer < config.norm.settings.postLayers! ? postLn(config) : preLn(config)),
};

/** Layers that `3` or `'25%'` means; a share is rounded down, as layers // 4 is. */
function layerCount(countOrShare: number | string, layers: number): number {
  if (typeof countOrShare === 'number') return countOrShare;
  return Math.floor((Number.parseFloat(countOrShare) / 100) * layers + 1e-9);
}
