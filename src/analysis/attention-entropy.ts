import { z } from 'zod';
import type { Batch } from '../data/batch.ts';
import { decoder, identitiesFor, type Model, type SelfAttention } from '../model/model.ts';
import type { HostArray } from '../tensor/backends/backend.ts';
import { rotatedHeads, sequenceLayout } from '../tensor/fused/attention.ts';
import { linear } from '../tensor/fused/linear.ts';
import { selfAttention } from '../tensor/fused/self-attention.ts';
import { normed } from '../tensor/fused/sub-layer.ts';
import { div, exp, log, matmul, max, mul, slice, sub, sum, where } from '../tensor/primitives.ts';
import { fromHost, scope } from '../tensor/scope.ts';
import type { Tensor } from '../tensor/tensor.ts';
import type { Analysis } from './analysis.ts';

const matrix = z.array(z.array(z.number()));

/** Entropies of attention, [layers][heads]. */
const entropies = z.object({ nats: matrix, normalised: matrix });

/**
 * How widely each head attends: the entropy −Σ p ln p of its attention over the tokens that a token sees, itself among
 * them, in the mean over tokens. `nats` is over all tokens; `normalised` divides by the largest entropy there can be,
 * ln of the number of tokens that are seen, and leaves out the first token of each sequence, which sees only itself: 0
 * = each token attends to one, 1 = evenly to all (Zhai et al. 2023, arXiv 2303.06296, on its collapse in training).
 *
 * The probabilities are composed of primitives, for a block of queries of one layer at a time.
 */
export const attentionEntropy: Analysis<z.infer<typeof entropies>> = {
  label: 'attention',
  meaning: 'entropy of attention, mean over heads and tokens: 0 = on one token, 1 = even',
  found: entropies,
  begin(model) {
    const { layers, heads } = model.config;
    const sums = () => Array.from({ length: layers }, () => new Float64Array(heads));
    const [nats, normalised] = [sums(), sums()];
    let [rows, rowsThatChoose] = [0, 0];
    return {
      async add({ streams, batch }) {
        for (let layer = 0; layer < layers; layer++) {
          const found = await readAll(entropiesOf(model, layer, streams[layer]!.tensor, batch));
          for (const { first, values } of found) {
            const queries = values.length / heads;
            values.forEach((value, i) => {
              const [head, position] = [Math.floor(i / queries), batch.positions[first + (i % queries)]!];
              nats[layer]![head]! += value;
              if (position > 0) normalised[layer]![head]! += value / Math.log(position + 1);
            });
          }
        }
        rows += batch.tokens.length;
        rowsThatChoose += batch.positions.reduce((count, position) => count + Number(position > 0), 0);
      },
      result: () => ({
        nats: nats.map((sums) => Array.from(sums, (sum) => sum / rows)),
        normalised: normalised.map((sums) => Array.from(sums, (sum) => sum / Math.max(1, rowsThatChoose))),
      }),
    };
  },
  perLayer: ({ normalised }) => [undefined, ...normalised.map((heads) => heads.reduce((a, b) => a + b) / heads.length)],
};

/** Entropies of the queries of a block: values [heads, queries], the first of which is of row `first`. */
interface Block<Values> {
  first: number;
  values: Values;
}

async function readAll(blocks: readonly Block<Tensor>[]): Promise<Block<HostArray>[]> {
  const read: Block<HostArray>[] = [];
  for (const { first, values } of blocks) {
    read.push({ first, values: await values.backend.read(values) });
    values.release();
  }
  return read;
}

/** Runs one layer on the stream that it gets, and looks at what its attention is given. The caller owns the tensors. */
function entropiesOf(model: Model, layer: number, stream: Tensor, batch: Batch): Block<Tensor>[] {
  const blocks: Block<Tensor>[] = [];
  const { backend } = model;
  scope(() => {
    const layout = sequenceLayout(backend, batch.positions, batch.segments);
    const attend: SelfAttention = (x, { qkv, o }, shape, _, norm) => {
      const { q, k } = rotatedHeads(linear(normed(x, norm), qkv), batch.positions, shape);
      for (const { first, from, queries } of blocksOf(batch.segments, shape.heads)) {
        const values = scope(() => blockEntropies(q, k, { first, from, queries }), { adopt: false });
        blocks.push({ first, values });
      }
      return selfAttention(x, qkv, o, layout, shape, norm);
    };
    const alone = { ...model, layers: [model.layers[layer]!] };
    decoder(alone, fromHost(backend, batch.tokens), attend, { from: stream, identities: identitiesFor(model) });
  });
  return blocks;
}

/** Scores that exist at a time. */
const scoresAtOnce = 2 ** 23;

interface Queries {
  /** Row of the first query, and of the first token of its sequence. */
  first: number;
  from: number;
  queries: number;
}

/** Runs of queries, each inside a sequence, with no more scores of all heads than may exist at a time. */
function* blocksOf(segments: Int32Array, heads: number): Generator<Queries> {
  for (let s = 0; s + 1 < segments.length; s++) {
    const [from, end] = [segments[s]!, segments[s + 1]!];
    const most = Math.max(1, Math.floor(scoresAtOnce / (heads * (end - from))));
    for (let first = from; first < end; first += most) yield { first, from, queries: Math.min(most, end - first) };
  }
}

/** q and k [heads, rows, headDim] → entropies [heads, queries, 1]: ln Z − Σ e^s s / Z with Z = Σ e^s over the keys. */
function blockEntropies(q: Tensor, k: Tensor, { first, from, queries }: Queries): Tensor {
  const keys = first + queries - from;
  const scores = matmul(slice(q, 1, first, queries), slice(k, 1, from, keys), { transposeB: true });
  const isSeen = Float32Array.from({ length: queries * keys }, (_, i) =>
    Number((i % keys) + from <= first + Math.floor(i / keys)),
  );
  const mask = fromHost(q.backend, isSeen, [1, queries, keys]);
  const seen = where(mask, mul(scores, 1 / Math.sqrt(q.shape[2]!)), -1e30);
  const shifted = sub(seen, max(seen, [2]));
  const weights = exp(shifted);
  const total = sum(weights, [2]);
  return sub(log(total), div(sum(mul(weights, shifted), [2]), total));
}
