import { z } from 'zod';
import { add } from '../../tensor/primitives.ts';
import { queryAndKeyNorms } from '../head-norms.ts';
import { SettingProblem } from '../setting-problem.ts';
import type { Junction, Placement, Wiring } from './placement.ts';
import { preLn } from './pre.ts';

/** Norms of queries, keys and values, each over a head (section 3.2). */
const headNorms = { ...queryAndKeyNorms, v: 'self_attn.v_norm' } as const;

/** x + F(x) */
const plain: Junction<never> = { norms: {}, join: (x, _norms, f) => add(x, f(x)) };

/** N(x) + F(N(x)): Post-Norm of what attention has been added to. */
const normedStream: Junction<'norm'> = {
  norms: { norm: 'post_attention_layernorm' },
  join(x, { norm }, f) {
    const normed = norm.apply(x);
    return add(normed, f(normed));
  },
};

const hybridNorm: Wiring = { kind: 'HybridNorm', headNorms, attention: plain, mlp: normedStream, addsOutputs: true };

const preNormed: Wiring = {
  kind: 'HybridNorm as Pre-LN',
  headNorms,
  attention: preLn.attention,
  mlp: preLn.mlp,
  addsOutputs: true,
};

/**
 * HybridNorm (Zhuo et al. 2025, arXiv 2503.04598): queries, keys and values are normalised inside attention,
 * y = x + A(x), and the MLP has Post-Norm, N(y) + F(N(y)). In the first `preLayers` layers both sub-layers have
 * Pre-Norm instead; with one it is the paper's HybridNorm*.
 */
export const hybrid: Placement = {
  name: 'hybrid',
  describe({ preLayers }, layers) {
    const first = preLayers! > 0 ? `, Pre-LN in the first ${preLayers}` : '';
    return `HybridNorm in all ${layers} layers${first}`;
  },
  keys: {
    preLayers: z
      .int()
      .nonnegative()
      .optional()
      .describe('layers of `hybrid`, from the first, that have Pre-LN around their sub-layers; 0 if left out'),
  },
  resolve: ({ preLayers = 0 }, layers) => ({ preLayers: checked('preLayers', preLayers, layers) }),
  write: ({ preLayers }) => ({ pre_layers: preLayers! }),
  read: ({ pre_layers: said = 0 }, layers) => ({ preLayers: checked('pre_layers', said, layers) }),
  candidates: (layers) => Array.from({ length: layers + 1 }, (_, preLayers) => ({ preLayers })),
  wiring: (layer, config) => (layer < config.norm.settings.preLayers! ? preNormed : hybridNorm),
};

function checked(key: string, said: unknown, layers: number): number {
  if (typeof said === 'number' && Number.isInteger(said) && said >= 0 && said <= layers) return said;
  throw new SettingProblem(key, `${JSON.stringify(said)}; a whole number from 0 to ${layers} (the layers) is needed`);
}
