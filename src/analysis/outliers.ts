import { z } from 'zod';
import type { Analysis } from './analysis.ts';

const found = z.object({ kurtosis: z.array(z.number()), largest: z.array(z.number()) });

/**
 * How unevenly the residual stream x [tokens, hidden] is spread after the embedding and after each layer, both
 * [layers + 1]. `kurtosis` is that of its features: mean_j(s_j²) / mean_j(s_j)² with s_j the mean square of feature j
 * (He et al. 2024, arXiv 2405.19279): 1 where all are of one size, `hidden` where one is all there is. `largest`
 * is max |x| over the root mean square of all elements, which single massive activations raise (Sun et al. 2024, arXiv
 * 2402.17762).
 */
export const outliers: Analysis<z.infer<typeof found>> = {
  label: 'kurtosis',
  meaning: 'outlier features of the stream: 1 = none, the hidden size = one is all there is',
  found,
  begin({ config: { layers, hiddenSize } }) {
    const depths = Array.from({ length: layers + 1 }, () => ({ squares: new Float64Array(hiddenSize), largest: 0 }));
    let rows = 0;
    return {
      add({ streams, batch: { tokens } }) {
        for (const [depth, { values }] of streams.entries()) {
          const own = depths[depth]!;
          for (let i = 0; i < values.length; i++) {
            own.squares[i % hiddenSize]! += values[i]! ** 2;
            own.largest = Math.max(own.largest, Math.abs(values[i]!));
          }
        }
        rows += tokens.length;
      },
      result() {
        const means = depths.map(({ squares }) => squares.map((sum) => sum / rows));
        return {
          kurtosis: means.map((sizes) => meanOf(sizes.map((size) => size ** 2)) / meanOf(sizes) ** 2),
          largest: depths.map(({ largest }, depth) => largest / Math.sqrt(meanOf(means[depth]!))),
        };
      },
    };
  },
  perLayer: ({ kurtosis }) => kurtosis,
};

const meanOf = (values: Float64Array): number => values.reduce((sum, value) => sum + value, 0) / values.length;
