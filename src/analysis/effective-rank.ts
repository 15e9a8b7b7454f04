import { z } from 'zod';
import type { HostArray } from '../tensor/backends/backend.ts';
import type { Analysis } from './analysis.ts';
import { symmetricEigenvalues } from './eigenvalues.ts';

/** Tokens that are looked at: a token more costs a product with all others. */
const mostRows = 1024;

const ranks = z.object({
  /** [layers + 1] */
  rank: z.array(z.number()),
  /** Tokens that it was computed from, evenly over the text; no rank is above this number less one. */
  tokens: z.number(),
});

/**
 * Effective rank of the residual stream after the embedding and after each layer (Roy and Vetterli 2007, "The effective
 * rank: a measure of effective dimensionality"): exp of the entropy of the singular values, normalised to sum 1, of the
 * matrix [tokens, hidden] with the mean of each feature subtracted. 1 where all tokens lie on a line, `hidden` where
 * they fill all directions alike; 0 where they do not differ. Singular values are square roots of the eigenvalues of
 * the smaller of the two Gram matrices, in double precision; those that rounding could have made count as 0.
 */
export const effectiveRank: Analysis<z.infer<typeof ranks>> = {
  label: 'rank',
  meaning: 'effective rank of the stream after the layer: how many directions its tokens fill',
  found: ranks,
  begin({ config: { layers, hiddenSize } }) {
    const sampled: Float64Array[][] = Array.from({ length: layers + 1 }, () => []);
    let seen = 0;
    return {
      add({ streams, batch, totalTokens }) {
        const stride = Math.ceil(totalTokens / mostRows);
        for (let row = 0; row < batch.tokens.length; row++, seen++) {
          if (seen % stride !== 0 || sampled[0]!.length === mostRows) continue;
          for (const [depth, { values }] of streams.entries()) sampled[depth]!.push(rowOf(values, row, hiddenSize));
        }
      },
      result: () => ({ rank: sampled.map(effectiveRankOf), tokens: sampled[0]!.length }),
    };
  },
  perLayer: ({ rank }) => rank,
};

const rowOf = (values: HostArray, row: number, width: number): Float64Array =>
  Float64Array.from(values.subarray(row * width, (row + 1) * width));

function effectiveRankOf(rows: readonly Float64Array[]): number {
  const width = rows[0]!.length;
  const columns = Array.from({ length: width }, (_, j) => centred(Float64Array.from(rows, (row) => row[j]!)));
  const vectors =
    rows.length < width ? rows.map((_, i) => Float64Array.from(columns, (column) => column[i]!)) : columns;
  const eigenvalues = symmetricEigenvalues(gram(vectors), vectors.length);
  const rounding = eigenvalues.reduce((most, value) => Math.max(most, value), 0) * vectors.length * Number.EPSILON;
  const singular = eigenvalues.filter((value) => value > rounding).map(Math.sqrt);
  const total = singular.reduce((sum, value) => sum + value, 0);
  return singular.length === 0 ? 0 : Math.exp(-singular.reduce((sum, s) => sum + (s / total) * Math.log(s / total), 0));
}

function centred(values: Float64Array): Float64Array {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return values.map((value) => value - mean);
}

/** Products of each two vectors, [vectors, vectors]. */
function gram(vectors: readonly Float64Array[]): Float64Array {
  const n = vectors.length;
  const products = new Float64Array(n * n);
  for (const [i, a] of vectors.entries()) {
    for (let j = 0; j <= i; j++) {
      const b = vectors[j]!;
      let product = 0;
      for (let k = 0; k < a.length; k++) product += a[k]! * b[k]!;
      products[i * n + j] = product;
      products[j * n + i] = product;
    }
  }
  return products;
}
