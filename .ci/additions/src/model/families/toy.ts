import type { Family } from './family.ts';
import { llamaKeys } from './key-rules.ts';
import { headClass, readSizes, writtenSizes } from './sizes.ts';

/** Llama without positional encoding. */
export const toyFamily: Family = {
  name: 'toy',
  title: 'Toy',
  modelTypes: ['toy'],
  keys: llamaKeys,
  read: (json, problems) => ({ ...readSizes(json, problems), family: { name: 'toy', settings: {} } }),
  write: (config) => ({ architectures: [`Toy${headClass(config)}`], model_type: 'toy', ...writtenSizes(config) }),
  rotary: () => undefined,
  attention: () => ({ parts: {} }),
};
