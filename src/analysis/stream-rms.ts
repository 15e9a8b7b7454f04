import { z } from 'zod';
import type { Analysis } from './analysis.ts';
import { sumOfSquares } from './sums.ts';

/**
 * Size of the residual stream after the embedding and after each layer, [layers + 1]: the root mean square of a token's
 * vector, in the mean over tokens. Pre-LN lets it grow with depth, Post-LN holds it at the size of its norms.
 */
export const streamRms: Analysis<number[]> = {
  label: 'stream rms',
  meaning: 'root mean square of the residual stream after the layer',
  found: z.array(z.number()),
  begin({ config: { layers, hiddenSize } }) {
    const sums = new Float64Array(layers + 1);
    let rows = 0;
    return {
      add({ streams, batch: { tokens } }) {
        for (const [depth, { values }] of streams.entries()) {
          for (let start = 0; start < values.length; start += hiddenSize) {
            sums[depth]! += Math.sqrt(sumOfSquares(values, start, start + hiddenSize) / hiddenSize);
          }
        }
        rows += tokens.length;
      },
      result: () => Array.from(sums, (sum) => sum / rows),
    };
  },
  perLayer: (found) => found,
};
