import { totalmem } from 'node:os';

/** What the processor behind a backend can hold, and in which form. */
export interface Limits {
  /** Bytes of memory that tensors may take in all. */
  readonly memory: number;
  /** Bytes of a number in an operand of matrix products. */
  readonly operandBytes: number;
  /** Rows and columns of a product that is large enough to measure speed by, and takes a fraction of a second. */
  readonly benchmarkSize: number;
}

/** Of a backend that computes on the processors of this machine, in its memory. */
export function hostLimits(of: Omit<Limits, 'memory'>): Limits {
  return { memory: hostMemory(), ...of };
}

/** Memory of this machine, or of the group of processes that this one is confined to. */
function hostMemory(): number {
  const confined = process.constrainedMemory();
  return confined > 0 ? Math.min(confined, totalmem()) : totalmem();
}
