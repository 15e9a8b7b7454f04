import type { Tensor } from '../../tensor.ts';

/** A tensor for a gradient, which is either overwritten or added to. */
export interface GradientTarget {
  tensor: Tensor;
  accumulate: boolean;
}

/** The targets for the gradients of inputs, by name of the input; undefined for gradients that are not wanted. */
export type Gradients<Input extends string> = Record<Input, GradientTarget | undefined>;
