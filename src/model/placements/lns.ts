import { add } from '../../tensor/primitives.ts';
import type { Junction, Placement, Wiring } from './placement.ts';
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
  wiring: (layer) => scaledPreLn(1 / Math.sqrt(layer + 1)),
};

const scaledSubLayer = ({ norms }: Junction, scale: number): Junction => ({
  norms,
  join: (x, { norm }, f) => add(x, f(x, norm!.scaled(scale))),
});

const scaledPreLn = (scale: number): Wiring => ({
  kind: 'scaled Pre-LN',
  attention: scaledSubLayer(preLn.attention, scale),
  mlp: scaledSubLayer(preLn.mlp, scale),
  addsOutputs: true,
});
