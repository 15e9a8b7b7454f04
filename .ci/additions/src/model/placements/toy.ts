import { rmsNorm } from '../../tensor/fused/rms-norm.ts';
import { add } from '../../tensor/primitives.ts';
import { normPart } from '../part.ts';
import type { Placement, Wiring } from './placement.ts';

/** Each sub-layer between two norms: x + N₂(F(N₁(x))). */
export const toyPlacement: Placement = {
  name: 'toy',
  describe: (_settings, layers) => `${layers} layers between two norms`,
  keys: {},
  resolve: () => ({}),
  write: () => ({}),
  read: () => ({}),
  candidates: () => [{}],
  wiring: (_layer, config) => between(config),
};

const between = (config: { hiddenSize: number }): Wiring<'before' | 'after'> => {
  const parts = (name: string) => ({
    before: normPart(`${name}_before_layernorm`, config),
    after: normPart(`${name}_after_layernorm`, config),
  });
  return {
    kind: 'toy',
    parts: { attention: parts('attn'), mlp: parts('mlp') },
    join: (x, { before, after }, f, eps) => add(x, rmsNorm(f(x, { weight: before, eps }), after, eps)),
  };
};
