import { z } from 'zod';
import type { Analysis } from './analysis.ts';
import { lossesOn } from './paths.ts';

/**
 * Mean cross-entropy in nats a token with a layer and the one after it in each other's place: loss [layers − 1] (Lad et
 * al. 2024, "The Remarkable Robustness of LLMs", arXiv 2406.19384). Where it costs little, the two do
 * not build on each other. A layer keeps its norm placement and all else that depends on its place.
 */
export const exchange: Analysis<{ loss: number[] }> = {
  label: 'exchange loss',
  meaning: 'mean cross-entropy when this layer and the next change places',
  found: z.object({ loss: z.array(z.number()) }),
  begin(model) {
    const exchanged = model.layers.slice(1).map((next, layer) => ({
      from: layer,
      layers: [next, model.layers[layer]!, ...model.layers.slice(layer + 2)],
      what: `with layers ${layer} and ${layer + 1} exchanged`,
    }));
    return lossesOn(model, exchanged);
  },
  perLayer: ({ loss }) => [undefined, ...loss],
};
