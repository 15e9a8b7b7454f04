import { defaultRotary } from '../rotary.ts';
import type { Family } from './family.ts';
import { llamaKeys } from './key-rules.ts';
import { headClass, readSizes, writtenSizes } from './sizes.ts';

/** Llama (Touvron et al. 2023). With another norm placement than Pre-LN it is `mixln`, which brings its own code. */
export const llama: Family = {
  name: 'llama',
  title: 'Llama',
  modelTypes: ['llama', 'mixln'],
  keys: llamaKeys,
  read: (json, problems) => ({ ...readSizes(json, problems), family: { name: 'llama', settings: {} } }),
  write(config) {
    const head = headClass(config);
    const stock = { architectures: [`Llama${head}`], model_type: 'llama' };
    const mixln = {
      architectures: [`MixLN${head}`],
      model_type: 'mixln',
      auto_map: {
        AutoConfig: 'modeling_mixln.MixLNConfig',
        [`AutoModel${head}`]: `modeling_mixln.MixLN${head}`,
      },
    };
    const kind = config.norm.name === 'pre' ? stock : mixln;
    return { ...kind, attention_bias: false, mlp_bias: false, ...writtenSizes(config) };
  },
  rotary: (_layer, { headDim, ropeTheta }) => defaultRotary(headDim, ropeTheta),
  attention: () => ({ parts: {} }),
};
