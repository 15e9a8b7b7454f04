import { z } from 'zod';
import { add, mul } from '../../tensor/primitives.ts';
import { SettingProblem } from '../setting-problem.ts';
import type { Junction, Placement, Wiring } from './placement.ts';
import { postLn } from './post.ts';

/**
 * DeepNorm (DeepNet, Wang et al. 2022, arXiv 2203.00555, figure 2): N(αx + F(x)) with α = (2L)^¼ for a decoder of L
 * layers, whose values, outputs and MLP begin with standard deviations times β = (8L)^−¼. Its tensors are those of
 * Post-LN, and only the config tells them apart. α is a setting because the Mix-LN authors' `deeppost` has that of 32
 * layers, 2.828, at every depth.
 */
export const deepnorm: Placement = {
  name: 'deepnorm',
  describe: ({ alpha }, layers) => `DeepNorm in all ${layers} layers, α = ${Number(alpha!.toFixed(4))}`,
  keys: {
    alpha: z
      .number()
      .positive()
      .optional()
      .describe('factor on the residual stream of `deepnorm`; (2 · layers)^¼ if left out'),
  },
  resolve: ({ alpha }, layers) => ({ alpha: (alpha as number | undefined) ?? alphaOf(layers) }),
  write: ({ alpha }) => ({ deepnorm_alpha: alpha! }),
  read({ deepnorm_alpha: said }, layers) {
    const alpha = said ?? alphaOf(layers);
    if (typeof alpha === 'number' && alpha > 0 && Number.isFinite(alpha)) return { alpha };
    throw new SettingProblem('deepnorm_alpha', `${JSON.stringify(said)}; a number above 0 is needed`);
  },
  candidates: (layers) => [{ alpha: alphaOf(layers) }],
  wiring: (_layer, { layers, norm }) => deepNorm(layers, norm.settings.alpha!),
};

const alphaOf = (layers: number): number => (2 * layers) ** 0.25;

const deepSubLayer = ({ norms }: Junction, alpha: number): Junction => ({
  norms,
  join: (x, { norm }, f) => norm!.apply(add(mul(x, alpha), f(x))),
});

function deepNorm(layers: number, alpha: number): Wiring {
  const beta = (8 * layers) ** -0.25;
  return {
    kind: 'DeepNorm',
    attention: deepSubLayer(postLn.attention, alpha),
    mlp: deepSubLayer(postLn.mlp, alpha),
    gain: { v: beta, o: beta, gate: beta, up: beta, down: beta },
  };
}
