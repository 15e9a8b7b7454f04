import { add } from '../../tensor/primitives.ts';
import type { Junction, Placement, Wiring } from './placement.ts';

/** Puts each sub-layer between two norms: x + N₂(F(N₁(x))). */
export const toyPlacement: Placement = {
  name: 'toy',
  describe: (_settings, layers) => `${layers} layers between two norms`,
  keys: {},
  resolve: () => ({}),
  write: () => ({}),
  read: () => ({}),
  candidates: () => [{}],
  wiring: () => between,
};

const between: Wiring = { kind: 'toy', attention: subLayer('attn'), mlp: subLayer('mlp') };

function subLayer(name: string): Junction<'before' | 'after'> {
  return {
    norms: { before: `${name}_before_layernorm`, after: `${name}_after_layernorm` },
    join: (x, { before, after }, f) => add(x, after.apply(f(x, before))),
  };
}
