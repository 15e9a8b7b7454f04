import { layerNorm } from '../../tensor/fused/layer-norm.ts';
import { mul } from '../../tensor/primitives.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import type { Norm, NormKind } from './norm-kind.ts';

/** LayerNorm (Ba et al. 2016), as in the original Transformer: (x − mean(x)) / √(var(x) + eps) · weight + bias. */
export const layer: NormKind = {
  name: 'layer',
  title: 'LayerNorm',
  parts: (name, width) => ({
    weight: { name: `${name}.weight`, shape: [width], init: 'ones', decays: false },
    bias: { name: `${name}.bias`, shape: [width], init: 'zeros', decays: false },
  }),
  bind: ({ weight, bias }, eps) => layerNormOf(weight!, bias!, eps),
};

const layerNormOf = (weight: Tensor, bias: Tensor, eps: number): Norm => ({
  apply: (x) => layerNorm(x, weight, bias, eps),
  scaled: (factor) => layerNormOf(mul(weight, factor), mul(bias, factor), eps),
});
