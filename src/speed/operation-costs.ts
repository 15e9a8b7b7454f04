import type { Backend, OperationCost } from '../tensor/backends/backend.ts';
import type { Roofline } from './roofline.ts';

/** The cost of each operation so far; empty if the backend does not count. */
export async function costsSoFar(backend: Backend): Promise<OperationCost[]> {
  return (await backend.profile?.()) ?? [];
}

/** The cost of each operation called since `before`. */
export async function costsSince(before: readonly OperationCost[], backend: Backend): Promise<OperationCost[]> {
  const after = await costsSoFar(backend);
  const added = after.map((cost, i) => ({
    operation: cost.operation,
    calls: cost.calls - before[i]!.calls,
    seconds: cost.seconds - before[i]!.seconds,
    flops: cost.flops - before[i]!.flops,
    bytes: cost.bytes - before[i]!.bytes,
  }));
  return added.filter(({ calls }) => calls > 0);
}

/** The cost of one operation, and how close it comes to the limit of the machine. */
export interface OperationShare extends OperationCost {
  /** Fraction of the time of all operations. */
  share: number;
  /** Least time possible by the roofline ÷ time taken; undefined if the operation does not count its work. */
  ofRoofline: number | undefined;
}

/** Shares of the operations, the most expensive first. */
export function operationShares(
  costs: readonly OperationCost[],
  roofline: Omit<Roofline, 'gemmSize'>,
): OperationShare[] {
  const total = costs.reduce((sum, { seconds }) => sum + seconds, 0);
  return costs
    .map((cost) => ({ ...cost, share: cost.seconds / total, ofRoofline: ofRoofline(cost, roofline) }))
    .sort((a, b) => b.seconds - a.seconds);
}

/** The least time that work can take on a machine, as a fraction of the time it took; undefined for no counted work. */
export function ofRoofline(
  { flops, bytes, seconds }: { flops: number; bytes: number; seconds: number },
  { gemmGflops, gigabytesPerSecond }: Omit<Roofline, 'gemmSize'>,
): number | undefined {
  const least = Math.max(flops / gemmGflops, bytes / gigabytesPerSecond) / 1e9;
  return least > 0 ? least / seconds : undefined;
}
