import { add, mul } from '../../tensor/primitives.ts';
import type { ModelConfig } from '../config.ts';
import type { Placement, Wiring } from './placement.ts';
import { preLn } from './pre.ts';

/**
 * LayerNorm Scaling, "The Curse of Depth in Large Language Models" (Sun et al. 2025, arXiv 2502.05795):
 * x + F(N(x) / √l) for both sub-layers of layer l, counted from 1. The factor is part of the equation, not of the
 * weight in the checkpoint, so its tensors are those of Pre-LN, and only the config tells them apart.
 */
export const lns: Placement = {
  name: 'lns',
  describe: (_settings, layers) => `Pre-LN scaled by 1/√l in layer l of ${layers}`,
  keys: {},
  resolve: () => ({}),
  write: () => ({}),
  read: () => ({}),
  candidates: () => [{}],
  wiring: (layer, config) => scaledPreLn(config, 1 / Math.sqrt(layer + 1)),
};

/** The factor is taken into the norm's weight, N(x) · s = x / rms(x) · (weight · s), which keeps the norm in F. */
const scaledPreLn = (config: ModelConfig, scale: number): Wiring<'norm'> => ({
  kind: 'scaled Pre-LN',
  parts: preLn(config).parts,
  addsOutputs: true,
  join: (x, { norm }, f, eps) => add(x, f(x, { weight: mul(norm, scale), eps })),
});
