import type { ModelConfig } from '../../src/model/config.ts';
import type { Attention, Family } from '../../src/model/families/family.ts';
import { llamaKeys } from '../../src/model/families/key-rules.ts';
import { headClass, readSizes, writtenSizes } from '../../src/model/families/sizes.ts';
import { positive } from '../../src/model/families/values.ts';
import type { Part } from '../../src/model/part.ts';
import { defaultRotary } from '../../src/model/rotary.ts';
import { add, concat } from '../../src/tensor/primitives.ts';

/**
 * A family with biases on queries, keys and values like Qwen2, a rotary embedding that turns `rope_stretch` times
 * slower, and layers without it like SmolLM3: all that it takes is this value and its entry in the list.
 */
export const toyFamily: Family = {
  name: 'toy',
  title: 'toy',
  modelTypes: ['toy'],
  keys: { ...llamaKeys, rope_stretch: 'read', no_rope_layers: 'read' },
  read(json, problems) {
    const stretch = positive(json, 'rope_stretch', problems, 1);
    const unrotated = (json.no_rope_layers ?? []) as number[];
    return { ...readSizes(json, problems), family: { name: 'toy', settings: { stretch, unrotated } } };
  },
  write(config) {
    const { stretch, unrotated } = config.family.settings;
    const own = { model_type: 'toy', rope_stretch: stretch, no_rope_layers: unrotated };
    return { architectures: [`Toy${headClass(config)}`], ...own, ...writtenSizes(config) };
  },
  rotary(layer, { headDim, ropeTheta, family }) {
    const { stretch, unrotated } = family.settings as { stretch: number; unrotated: readonly number[] };
    const { frequencies, factor } = defaultRotary(headDim, ropeTheta);
    const slower = { frequencies: frequencies.map((frequency) => frequency / stretch), factor };
    return unrotated.includes(layer) ? undefined : slower;
  },
  attention: biasedAttention,
};

function biasedAttention(_layer: number, config: ModelConfig): Attention<'q' | 'k' | 'v'> {
  const { heads, kvHeads, headDim } = config;
  const bias = (of: string, heads: number): Part => {
    return { name: `self_attn.${of}_proj.bias`, shape: [heads * headDim], init: 'zeros', decays: false };
  };
  return {
    parts: { q: bias('q', heads), k: bias('k', kvHeads), v: bias('v', kvHeads) },
    equation: (x, { q, k, v }, { qkv, attend, o }) => o(attend(add(qkv(x), concat([q, k, v], 0)))),
  };
}
