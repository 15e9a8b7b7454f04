import { mul, neg } from '../../tensor/primitives.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import type { Norm, NormKind } from './norm-kind.ts';

/** No norm, but a factor for each number. */
export const toyNorm: NormKind = {
  name: 'toy',
  title: 'a toy norm',
  parts: (name, width) => ({ factor: { name: `${name}.factor`, shape: [width], init: 'ones', decays: false } }),
  bind: ({ factor }) => toyNormOf(factor!),
};

const toyNormOf = (factor: Tensor): Norm => ({
  apply: (x) => neg(mul(x, factor)),
  scaled: (by) => toyNormOf(mul(factor, by)),
});
