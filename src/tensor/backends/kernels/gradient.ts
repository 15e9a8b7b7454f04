import type { Tensor } from '../../tensor.ts';

/** Where a kernel puts a gradient: written, or added to what is there. */
export interface GradientTarget {
  tensor: Tensor;
  accumulate: boolean;
}

/** Where the gradients of inputs go, by the names of these; undefined for one that nobody wants. */
export type Gradients<Input extends string> = Record<Input, GradientTarget | undefined>;
