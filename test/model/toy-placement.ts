import { z } from 'zod';
import type { Junction, Placement, Wiring } from '../../src/model/placements/placement.ts';
import { add, mul } from '../../src/tensor/primitives.ts';

/** A placement with two norms and a parameter of its own: all that it takes is this value and its entry in the list. */
export const toyPlacement: Placement = {
  name: 'toy',
  describe: ({ stride }, layers) => `scaled sub-layers in one of ${stride} of ${layers} layers`,
  keys: { stride: z.int().min(1).default(2).describe('layers from one with scaled sub-layers to the next') },
  resolve: ({ stride }) => ({ stride: stride as number }),
  write: ({ stride }) => ({ stride: stride! }),
  read: ({ stride }) => ({ stride: stride as number }),
  candidates: (layers) => Array.from({ length: layers }, (_, i) => ({ stride: i + 1 })),
  wiring: (layer, config) => (layer % config.norm.settings.stride! === 0 ? scaled : plain),
};

/** x + N₂(scale · F(N₁(x))) */
const scaledSubLayer = (prefix: string): Junction<'before' | 'after', 'scale'> => ({
  norms: { before: `${prefix}_before_layernorm`, after: `${prefix}_after_layernorm` },
  parts: { scale: { name: `${prefix}_scale`, shape: [1], init: 'ones', decays: false } },
  join: (x, { before, after }, f, { scale }) => add(x, after.apply(mul(f(x, before), scale))),
});

const scaled: Wiring = {
  kind: 'scaled',
  attention: scaledSubLayer('attn'),
  mlp: scaledSubLayer('mlp'),
  gain: { o: 0.5 },
};

/** Pre-LN under names of its own, and without a kernel for a whole decoding step. */
const plainSubLayer = (prefix: string): Junction<'norm'> => ({
  norms: { norm: `${prefix}_plain_layernorm` },
  join: (x, { norm }, f) => add(x, f(x, norm)),
});

const plain: Wiring = { kind: 'plain', attention: plainSubLayer('attn'), mlp: plainSubLayer('mlp') };
