import { z } from 'zod';
import type { Analysis } from './analysis.ts';
import { lossFrom } from './loss-from.ts';

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
    const sums = new Float64Array(model.config.layers);
    let tokens = 1;
    return {
      async add({ streams, batch, totalTokens }) {
        tokens = totalTokens;
        for (let layer = 0; layer < sums.length; layer++) {
          const after = model.layers.slice(layer + 1);
          const what = `without layer ${layer}`;
          sums[layer]! += await lossFrom(streams[layer]!.tensor, after, { model, batch, what });
        }
      },
      result: () => ({ loss: Array.from(sums, (sum) => sum / tokens) }),
    };
  },
  perLayer: ({ loss }) => [undefined, ...loss],
};
