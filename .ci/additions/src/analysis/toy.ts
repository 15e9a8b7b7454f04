import { z } from 'zod';
import type { Analysis } from './analysis.ts';

/** The largest absolute element of the residual stream after each layer. */
export const outlier: Analysis<number[]> = {
  label: 'outlier',
  meaning: 'largest absolute element of the residual stream after the layer',
  found: z.array(z.number()),
  begin({ config: { layers } }) {
    const largest = new Array<number>(layers + 1).fill(0);
    return {
      add({ streams }) {
        for (const [depth, { values }] of streams.entries()) {
          for (const value of values) largest[depth] = Math.max(largest[depth]!, Math.abs(value));
        }
      },
      result: () => largest,
    };
  },
  perLayer: (found) => found,
};
