import { z } from 'zod';
import { trainedTokensOf } from '../data/batch.ts';
import { notFinite } from '../errors.ts';
import type { Model } from '../model/model.ts';
import { modelParameters } from '../model/parameters.ts';
import type { Part } from '../model/part.ts';
import { sizeOf } from '../tensor/tensor.ts';
import { languageModelLoss } from '../training/language-model.ts';
import { type Gradients, newGradients, releaseGradients } from '../training/optimizer.ts';
import type { Analysis } from './analysis.ts';
import { sumOfSquares } from './sums.ts';

/** L2 norms of gradients: of all tensors of a layer together, of its matrices, and of each by its name. */
const layerGradients = z.object({ all: z.number(), matrices: z.number() }).catchall(z.number());

/** L2 norms of the gradient of the mean cross-entropy. */
const gradientNorms = z.object({
  /** Of all parameters. */
  all: z.number(),
  layers: z.array(layerGradients),
  /** A tied embedding is also the head. */
  embedding: z.number(),
  finalNorm: z.number(),
  /** Absent where the head is the embedding. */
  head: z.number().optional(),
});

export type GradientNorms = z.infer<typeof gradientNorms>;

/** How strongly the mean cross-entropy in nats a token pulls at each layer. One backward pass. */
export const gradients: Analysis<GradientNorms> = {
  label: 'gradient norm',
  meaning: "norm of the gradient of the mean cross-entropy by all of the layer's parameters",
  found: gradientNorms,
  begin(model) {
    const gradients = newGradients(model);
    return {
      async add({ sequences, totalTokens }) {
        const tokens = sequences.reduce((sum, sequence) => sum + trainedTokensOf(sequence), 0);
        await languageModelLoss(gradients, [sequences], tokens / totalTokens);
      },
      result: () => gradientNormsOf(gradients),
      release: () => releaseGradients(gradients),
    };
  },
  perLayer: ({ embedding, layers }) => [embedding, ...layers.map(({ all }) => all)],
};

/** The norms of gradients of a model's own parameters: after an update, of those that it was made from. */
export async function gradientNormsOf(gradients: Pick<Gradients, 'model' | 'gradients'>): Promise<GradientNorms> {
  return normsOf(gradients.model, await squaredNorms(gradients));
}

/**
 * Σ g² of each tensor of the checkpoint, in double precision: after Post-LN has been trained, gradients of 1e-20 and
 * less, whose squares single precision cannot hold, are what one looks for.
 */
async function squaredNorms({ model, gradients }: Pick<Gradients, 'model' | 'gradients'>): Promise<Map<Part, number>> {
  const squares = new Map<Part, number>();
  for (const { name, parts } of modelParameters(model.config)) {
    const values = await model.backend.read(gradients.get(name)!);
    let offset = 0;
    for (const part of parts) {
      const end = offset + sizeOf(part.shape);
      const square = sumOfSquares(values, offset, end);
      if (!Number.isFinite(square)) throw notFinite(`the gradients of ${part.name} are`);
      squares.set(part, square);
      offset = end;
    }
  }
  return squares;
}

function normsOf({ config }: Model, squares: ReadonlyMap<Part, number>): GradientNorms {
  const normOf = (belongs: (part: Part) => boolean): number =>
    Math.sqrt([...squares].reduce((sum, [part, square]) => sum + (belongs(part) ? square : 0), 0));
  const named = (name: string) => normOf((part) => part.name === name);
  const layers = Array.from({ length: config.layers }, (_, layer) => {
    const prefix = `model.layers.${layer}.`;
    const own = [...squares.keys()].filter(({ name }) => name.startsWith(prefix));
    return {
      all: normOf((part) => own.includes(part)),
      matrices: normOf((part) => own.includes(part) && part.shape.length === 2),
      ...Object.fromEntries(own.map(({ name }) => [shortName(name.slice(prefix.length)), named(name)])),
    };
  });
  return {
    all: normOf(() => true),
    layers,
    embedding: named('model.embed_tokens.weight'),
    finalNorm: named('model.norm.weight'),
    ...(config.tieWordEmbeddings ? {} : { head: named('lm_head.weight') }),
  };
}

/** `q_proj` of `self_attn.q_proj.weight`; what is no weight keeps its kind, as in `q_proj.bias`. */
function shortName(name: string): string {
  return name.replace(/^(self_attn|mlp)\./, '').replace(/\.weight$/, '');
}
