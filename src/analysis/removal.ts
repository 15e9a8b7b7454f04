import { z } from 'zod';
import type { Analysis } from './analysis.ts';
import { lossesOn } from './paths.ts';

/**
 * Mean cross-entropy in nats a token with each single layer taken out, and nothing trained after it: loss [layers].
 * What the layers before it make is the same with it and without, so a pass begins at the layer and takes half a
 * forward pass on average.
 */
export const removal: Analysis<{ loss: number[] }> = {
  label: 'removal loss',
  meaning: 'mean cross-entropy when this layer alone is taken out',
  found: z.object({ loss: z.array(z.number()) }),
  begin(model) {
    const without = (layer: number) => {
      return { from: layer, layers: model.layers.slice(layer + 1), what: `without layer ${layer}` };
    };
    return lossesOn(
      model,
      model.layers.map((_, layer) => without(layer)),
    );
  },
  perLayer: ({ loss }) => [undefined, ...loss],
};
