import { z } from 'zod';
import type { Analysis } from './analysis.ts';
import { lossesOn } from './paths.ts';

/**
 * Mean cross-entropy in nats a token of what the final norm and the head read off the residual stream after the
 * embedding and after each layer (nostalgebraist 2020, "the logit lens"): loss [layers + 1], the last of which is the
 * model's own.
 */
export const exits: Analysis<{ loss: number[] }> = {
  label: 'exit loss',
  meaning: 'mean cross-entropy of the final norm and head on the stream after the layer',
  found: z.object({ loss: z.array(z.number()) }),
  begin(model) {
    const depths = Array.from({ length: model.config.layers + 1 }, (_, depth) => depth);
    const exit = (depth: number) => {
      return { from: depth, layers: [], what: depth === 0 ? 'of the embedding' : `after layer ${depth - 1}` };
    };
    return lossesOn(model, depths.map(exit));
  },
  perLayer: ({ loss }) => loss,
};
