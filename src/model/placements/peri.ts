import type { Placement } from './placement.ts';
import { sandwichLn } from './sandwich.ts';

/**
 * Peri-LN (Kim et al. 2025, arXiv 2502.02732): x + N₂(F(N₁(x))), and the residual stream begins as N₀(embedding). Its
 * third step, a norm before the head, is that of every model here.
 */
export const peri: Placement = {
  name: 'peri',
  describe: (_settings, layers) => `Peri-LN: a norm of the embedding, and Sandwich-LN in all ${layers} layers`,
  keys: {},
  resolve: () => ({}),
  write: () => ({}),
  read: () => ({}),
  candidates: () => [{}],
  embeddingNorm: 'model.embed_layernorm',
  wiring: () => sandwichLn,
};
