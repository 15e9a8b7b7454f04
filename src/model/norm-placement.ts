import { add } from '../tensor/primitives.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { isPostLayer, type ModelConfig } from './config.ts';

type Transform = (x: Tensor) => Tensor;

/** How a sub-layer `f` (attention or MLP) and a normalisation are joined to the residual stream x [rows, hidden]. */
export type Placement = (x: Tensor, norm: Transform, f: Transform) => Tensor;

/** x + F(N(x)) */
export const preLn: Placement = (x, norm, f) => add(x, f(norm(x)));

/** N(x + F(x)) */
export const postLn: Placement = (x, norm, f) => norm(add(x, f(x)));

/** Mix-LN (Li et al. 2024, eq. 5 and 6): the first `postLayers` layers are Post-LN, the rest Pre-LN. */
export function placementOfLayer(config: ModelConfig, layer: number): Placement {
  return isPostLayer(config, layer) ? postLn : preLn;
}
