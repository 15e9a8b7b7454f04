import type { GradientTarget } from '../../kernels/gradient.ts';
import type { NativeLibrary } from '../build.ts';
import type { RotaryNumbers } from '../rotary.ts';

/**
 * What kernels are enqueued with. They write the arguments out one by one, in the order that the operations in
 * src/native document: arrays of them would be garbage of every call.
 */
export interface Engine {
  readonly library: NativeLibrary;
  /** Its handle. */
  readonly engine: number;
  /** The number of each operation by its name. */
  readonly op: Readonly<Record<string, number>>;
  readonly rotaries: RotaryNumbers;
}

/** Whether to add to the gradient that is there, as a number. */
export function accumulates(target: GradientTarget | undefined): number {
  return Number(target?.accumulate ?? false);
}
