import type { Norm } from '../tensor/backends/kernels.ts';
import { rmsNorm } from '../tensor/fused/rms-norm.ts';
import { add } from '../tensor/primitives.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { isPostLayer, type ModelConfig } from './config.ts';

/** A sub-layer F (attention or MLP) of x [rows, hidden]: F(x), or F(N(x)) with a norm in front. */
export type SubLayer = (x: Tensor, norm?: Norm) => Tensor;

/** How a sub-layer and a norm are joined to the residual stream x [rows, hidden]. */
export type Placement = (x: Tensor, norm: Norm, f: SubLayer) => Tensor;

/** x + F(N(x)) */
export const preLn: Placement = (x, norm, f) => add(x, f(x, norm));

/** N(x + F(x)) */
export const postLn: Placement = (x, { weight, eps }, f) => rmsNorm(add(x, f(x)), weight, eps);

/** Mix-LN (Li et al. 2024, eq. 5 and 6): the first `postLayers` layers are Post-LN, the rest Pre-LN. */
export function placementOfLayer(config: ModelConfig, layer: number): Placement {
  return isPostLayer(config, layer) ? postLn : preLn;
}
