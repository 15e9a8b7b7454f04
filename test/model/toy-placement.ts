import { z } from 'zod';
import { normPart } from '../../src/model/part.ts';
import type { Placement, Wiring } from '../../src/model/placements/placement.ts';
import { rmsNorm } from '../../src/tensor/fused/rms-norm.ts';
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
  wiring: (layer, config) => (layer % config.norm.settings.stride! === 0 ? scaled(config) : plain(config)),
};

const forBoth = <Parts>(of: (prefix: string) => Parts) => ({ attention: of('attn'), mlp: of('mlp') });

/** x + N₂(scale · F(N₁(x))) */
const scaled = (config: { hiddenSize: number }): Wiring<'before' | 'after' | 'scale'> => ({
  kind: 'scaled',
  parts: forBoth((prefix) => ({
    before: normPart(`${prefix}_before_layernorm`, config),
    after: normPart(`${prefix}_after_layernorm`, config),
    scale: { name: `${prefix}_scale`, shape: [1], init: 'ones', decays: false },
  })),
  gain: { o: 0.5 },
  join: (x, { before, after, scale }, f, eps) => add(x, rmsNorm(mul(f(x, { weight: before, eps }), scale), after, eps)),
});

/** Pre-LN under names of its own, and without a kernel for a whole decoding step. */
const plain = (config: { hiddenSize: number }): Wiring<'norm'> => ({
  kind: 'plain',
  parts: forBoth((prefix) => ({ norm: normPart(`${prefix}_plain_layernorm`, config) })),
  join: (x, { norm }, f, eps) => add(x, f(x, { weight: norm, eps })),
});
