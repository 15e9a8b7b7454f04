import type { GradientTarget } from '../../kernels/gradient.ts';
import type { NativeLibrary } from '../build.ts';
import type { RotaryNumbers } from '../rotary.ts';

/**
 * What is needed to enqueue kernels. Calls pass their arguments one by one, in the order documented by the operations
 * in src/native: arrays would be garbage after each call.
 */
export interface Engine {
  readonly library: NativeLibrary;
  /** Handle of the engine. */
  readonly engine: number;
  /** The number of each operation by its name. */
  readonly op: Readonly<Record<string, number>>;
  readonly rotaries: RotaryNumbers;
}

/** 1 if the gradient is to be added to its target, else 0. */
export function accumulates(target: GradientTarget | undefined): number {
  return Number(target?.accumulate ?? false);
}
