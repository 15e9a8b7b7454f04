import { rmsNorm } from '../../tensor/fused/rms-norm.ts';
import { mul } from '../../tensor/primitives.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import type { Norm, NormKind } from './norm-kind.ts';

/** RMSNorm (Zhang and Sennrich 2019), as in Llama: x / √(mean(x²) + eps) · weight. */
export const rms: NormKind = {
  name: 'rms',
  title: 'RMSNorm',
  parts: (name, width) => ({
    weight: { name: `${name}.weight`, shape: [width], init: 'ones', decays: false },
  }),
  bind: ({ weight }, eps) => rmsNormOf(weight!, eps),
};

const rmsNormOf = (weight: Tensor, eps: number): Norm => ({
  apply: (x) => rmsNorm(x, weight, eps),
  scaled: (factor) => rmsNormOf(mul(weight, factor), eps),
  fused: { weight, eps },
});
