import { z } from 'zod';
import type { HostArray } from '../tensor/backends/backend.ts';
import type { Analysis } from './analysis.ts';
import { dot, sumOfSquares } from './sums.ts';

const matrix = z.array(z.array(z.number()));

/**
 * Mean angular distances between the residual streams after the embedding and after each layer, in units of π,
 * [layers + 1][layers + 1]: at the last row of each sequence, and at all rows.
 */
const distances = z.object({ last: matrix, all: matrix });

/**
 * Angular distance arccos(x·y / (‖x‖·‖y‖)) / π between the streams of two depths (Gromov et al. 2024, "The Unreasonable
 * Ineffectiveness of the Deeper Layers", eq. 6): 0 = the same direction, 0.5 = at right angles, as a stream of zeros is
 * taken to be. The cosine is held to [−1, 1]; all is computed in double precision, which small angles need.
 */
export const angular: Analysis<z.infer<typeof distances>> = {
  label: 'angle',
  meaning: "angular distance between the layer's input and output, in units of π, mean over all tokens",
  found: distances,
  begin({ config: { layers, hiddenSize } }) {
    const depths = layers + 1;
    const sums = { last: new Float64Array(depths ** 2), all: new Float64Array(depths ** 2) };
    const counts = { last: 0, all: 0 };
    const angles = new Float64Array(depths ** 2);
    return {
      add({ streams, batch: { segments } }) {
        const values = streams.map((stream) => stream.values);
        const lastRows = new Set(segments.subarray(1).map((end) => end - 1));
        for (let row = 0; row < segments.at(-1)!; row++) {
          anglesBetween(values, row * hiddenSize, (row + 1) * hiddenSize, angles);
          for (const which of lastRows.has(row) ? (['all', 'last'] as const) : (['all'] as const)) {
            for (let i = 0; i < angles.length; i++) sums[which][i]! += angles[i]!;
            counts[which]++;
          }
        }
      },
      result: () => ({
        last: meanMatrix(sums.last, counts.last, depths),
        all: meanMatrix(sums.all, counts.all, depths),
      }),
    };
  },
  perLayer: ({ all }) => [undefined, ...all.slice(1).map((row, layer) => row[layer]!)],
};

/** Angular distances between all pairs of vectors, the elements from `start` to before `end`, into [vectors²]. */
function anglesBetween(vectors: readonly HostArray[], start: number, end: number, into: Float64Array): void {
  const norms = vectors.map((x) => Math.sqrt(sumOfSquares(x, start, end)));
  for (let i = 0; i < vectors.length; i++) {
    for (let j = i + 1; j < vectors.length; j++) {
      const length = norms[i]! * norms[j]!;
      const cosine = length > 0 ? dot(vectors[i]!, vectors[j]!, start, end) / length : 0;
      const angle = Math.acos(Math.min(1, Math.max(-1, cosine))) / Math.PI;
      into[i * vectors.length + j] = angle;
      into[j * vectors.length + i] = angle;
    }
  }
}

function meanMatrix(sums: Float64Array, count: number, size: number): number[][] {
  return Array.from({ length: size }, (_, row) =>
    Array.from(sums.subarray(row * size, (row + 1) * size), (sum) => sum / count),
  );
}
