import { z } from 'zod';
import type { Analysis } from './analysis.ts';
import { lossFrom } from './loss-from.ts';

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
    const sums = new Float64Array(model.config.layers + 1);
    let tokens = 1;
    return {
      async add({ streams, batch, totalTokens }) {
        tokens = totalTokens;
        for (const [layer, { tensor }] of streams.entries()) {
          const what = layer === 0 ? 'of the embedding' : `after layer ${layer - 1}`;
          sums[layer]! += await lossFrom(tensor, [], { model, batch, what });
        }
      },
      result: () => ({ loss: Array.from(sums, (sum) => sum / tokens) }),
    };
  },
  perLayer: ({ loss }) => loss,
};
