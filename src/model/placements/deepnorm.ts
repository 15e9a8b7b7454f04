import { z } from 'zod';
import { rmsNorm } from '../../tensor/fused/rms-norm.ts';
import { add, mul } from '../../tensor/primitives.ts';
import type { ModelConfig } from '../config.ts';
import { SettingProblem } from '../setting-problem.ts';
import type { Placement, Wiring } from './placement.ts';
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
  wiring: (_layer, config) => deepNorm(config, config.norm.settings.alpha!),
};

const alphaOf = (layers: number): number => (2 * layers) ** 0.25;

function deepNorm(config: ModelConfig, alpha: number): Wiring<'norm'> {
  const beta = (8 * config.layers) ** -0.25;
  return {
    kind: 'DeepNorm',
    parts: postLn(config).parts,
    gain: { v: beta, o: beta, gate: beta, up: beta, down: beta },
    join: (x, { norm }, f, eps) => rmsNorm(add(mul(x, alpha), f(x)), norm, eps),
  };
}
