import { trainedTokensOf } from '../data/batch.ts';
import { languageModelLoss } from '../training/language-model.ts';
import { type Gradients, newGradients, releaseGradients } from '../training/optimizer.ts';
import type { Analysis } from './analysis.ts';
import { type ByDepth, byDepth, measureByDepth } from './by-depth.ts';
import { normOf, squaresOf } from './squares.ts';

/** L2 norms of the gradient of the mean cross-entropy in nats a token: how strongly it pulls at each layer. */
export const gradients: Analysis<ByDepth> = {
  label: 'gradient norm',
  meaning: "norm of the gradient of the mean cross-entropy by all of the layer's parameters",
  found: byDepth,
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
export async function gradientNormsOf({
  model: { config, backend },
  gradients,
}: Pick<Gradients, 'model' | 'gradients'>): Promise<ByDepth> {
  const squares = await squaresOf(config, (name) => backend.read(gradients.get(name)!), 'gradients');
  return measureByDepth(config, (parts) => normOf(parts, squares));
}
