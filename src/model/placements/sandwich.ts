import { rmsNorm } from '../../tensor/fused/rms-norm.ts';
import { add } from '../../tensor/primitives.ts';
import type { ModelConfig } from '../config.ts';
import { normPart } from '../part.ts';
import type { Placement, Wiring } from './placement.ts';

/**
 * Sandwich-LN (CogView, Ding et al. 2021, arXiv 2105.13290, section 2.4): x + N₂(F(N₁(x))). Names of the norms are
 * those of the Mix-LN authors' code and of Gemma 2.
 */
export const sandwichLn = (config: ModelConfig): Wiring<'before' | 'after'> => ({
  kind: 'Sandwich-LN',
  parts: {
    attention: {
      before: normPart('input_layernorm', config),
      after: normPart('post_attention_layernorm', config),
    },
    mlp: {
      before: normPart('pre_feedforward_layernorm', config),
      after: normPart('post_feedforward_layernorm', config),
    },
  },
  join: (x, { before, after }, f, eps) => add(x, rmsNorm(f(x, { weight: before, eps }), after, eps)),
});

export const sandwich: Placement = {
  name: 'sandwich',
  describe: (_settings, layers) => `Sandwich-LN in all ${layers} layers`,
  keys: {},
  resolve: () => ({}),
  write: () => ({}),
  read: () => ({}),
  candidates: () => [{}],
  wiring: (_layer, config) => sandwichLn(config),
};
