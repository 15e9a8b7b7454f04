import { add } from '../../tensor/primitives.ts';
import type { Junction, Placement, Wiring } from './placement.ts';

const sandwichSubLayer = (before: string, after: string): Junction<'before' | 'after'> => ({
  norms: { before, after },
  join: (x, { before, after }, f) => add(x, after.apply(f(x, before))),
});

/**
 * Sandwich-LN (CogView, Ding et al. 2021, arXiv 2105.13290, section 2.4): x + N₂(F(N₁(x))). Names of the norms are
 * those of the Mix-LN authors' code and of Gemma 2.
 */
export const sandwichLn: Wiring = {
  kind: 'Sandwich-LN',
  attention: sandwichSubLayer('input_layernorm', 'post_attention_layernorm'),
  mlp: sandwichSubLayer('pre_feedforward_layernorm', 'post_feedforward_layernorm'),
};

export const sandwich: Placement = {
  name: 'sandwich',
  describe: (_settings, layers) => `Sandwich-LN in all ${layers} layers`,
  keys: {},
  resolve: () => ({}),
  write: () => ({}),
  read: () => ({}),
  candidates: () => [{}],
  wiring: () => sandwichLn,
};
