import { totalmem } from 'node:os';

/** Properties of the processor that a backend computes on. */
export interface Limits {
  /** Memory for all tensors together, in bytes. */
  readonly memory: number;
  /** Bytes per number in an operand of matrix products. */
  readonly operandBytes: number;
  /** Rows and columns of a product that is large enough to measure speed, yet takes only a fraction of a second. */
  readonly benchmarkSize: number;
}

/** The limits of a backend that computes on the processors and in the memory of this machine. */
export function hostLimits(of: Omit<Limits, 'memory'>): Limits {
  return { memory: hostMemory(), ...of };
}

/** Memory of this machine in bytes, or the limit of the process's control group if that is lower. */
function hostMemory(): number {
  const confined = process.constrainedMemory();
  return confined > 0 ? Math.min(confined, totalmem()) : totalmem();
}
