import type { FamilyChoice, ModelConfig } from '../config.ts';
import { queryAndKeyNorms } from '../head-norms.ts';
import { defaultRotary } from '../rotary.ts';
import type { Family } from './family.ts';
import { type KeyRule, llamaKeys } from './key-rules.ts';
import { headClass, readSizes, writtenSizes } from './sizes.ts';
import type { Json } from './values.ts';

/** Queries and keys are normalised in each head, as in Qwen3, where the setting is there. */
export const llamaFamily = (qkNorm: boolean): FamilyChoice => ({
  name: 'llama',
  settings: qkNorm ? { qkNorm } : {},
});

const qkNormRule: KeyRule = {
  accepts: (value, json) => value === undefined || value === false || (value === true && isMixln(json)),
  reason: 'a plain Llama has no norms of queries and keys, and transformers would leave them out',
};

const isMixln = ({ model_type: type }: Json): boolean => type === 'mixln';

/** Is there nothing in it that transformers' own Llama lacks? */
const isStock = ({ norm, normKind, family }: ModelConfig): boolean =>
  norm.name === 'pre' && normKind === undefined && !family.settings.qkNorm;

/**
 * Llama (Touvron et al. 2023). With another norm placement than Pre-LN, another norm than RMSNorm, or norms of queries
 * and keys it is `mixln`, which brings its own code.
 */
export const llama: Family = {
  name: 'llama',
  title: 'Llama',
  modelTypes: ['llama', 'mixln'],
  keys: { ...llamaKeys, qk_norm: qkNormRule },
  read: (json, problems) => ({ ...readSizes(json, problems), family: llamaFamily(json.qk_norm === true) }),
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
    const kind = isStock(config) ? stock : { ...mixln, ...(config.family.settings.qkNorm ? { qk_norm: true } : {}) };
    return { ...kind, attention_bias: false, mlp_bias: false, ...writtenSizes(config) };
  },
  rotary: (_layer, { headDim, ropeTheta }) => defaultRotary(headDim, ropeTheta),
  attention: (_layer, { family }) => ({
    parts: {},
    ...(family.settings.qkNorm ? { headNorms: queryAndKeyNorms } : {}),
  }),
};
