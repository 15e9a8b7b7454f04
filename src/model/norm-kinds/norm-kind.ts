import type { Norm as RmsNorm } from '../../tensor/backends/kernels/rms-norm.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import type { Part } from '../part.ts';

/** A norm N with its tensors. */
export interface Norm {
  /** N(x) of each row of x [rows, width]. */
  apply(x: Tensor): Tensor;
  /** factor · N */
  scaled(factor: number): Norm;
  /** What kernels of sub-layers need to take it in, where it stands in front of one; absent where none can. */
  readonly fused?: RmsNorm;
}

/** What every norm of a model computes. */
export interface NormKind {
  /** In configs. */
  readonly name: string;
  /** For people: `RMSNorm`. */
  readonly title: string;
  /** The tensors of a norm of `width` numbers that is called `name`, by the names that `bind` uses. */
  parts(name: string, width: number): Readonly<Record<string, Part>>;
  bind(tensors: Readonly<Record<string, Tensor>>, eps: number): Norm;
}
