import type { Backend, OperationCost } from '../tensor/backends/backend.ts';
import type { Roofline } from './roofline.ts';

/** What each operation has cost so far; empty on a backend that does not count. */
export async function costsSoFar(backend: Backend): Promise<OperationCost[]> {
  return (await backend.profile?.()) ?? [];
}

/** What has been added to the costs `before`, without the operations that were not called. */
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

/** What one operation cost, and how near that is to what the machine can do. */
export interface OperationShare extends OperationCost {
  /** Share of the seconds of all operations. */
  share: number;
  /**
   * Seconds that the roofline asks for at least ÷ seconds taken; undefined where an operation does not count its work.
   */
  ofRoofline: number | undefined;
}

/** The dearest operation first. */
export function operationShares(
  costs: readonly OperationCost[],
  roofline: Omit<Roofline, 'gemmSize'>,
): OperationShare[] {
  const total = costs.reduce((sum, { seconds }) => sum + seconds, 0);
  return costs
    .map((cost) => ({ ...cost, share: cost.seconds / total, ofRoofline: ofRoofline(cost, roofline) }))
    .sort((a, b) => b.seconds - a.seconds);
}

/** The least time that work can take on a machine, as a share of the time it took. */
export function ofRoofline(
  { flops, bytes, seconds }: { flops: number; bytes: number; seconds: number },
  { gemmGflops, gigabytesPerSecond }: Omit<Roofline, 'gemmSize'>,
): number | undefined {
  const least = Math.max(flops / gemmGflops, bytes / gigabytesPerSecond) / 1e9;
  return least > 0 ? least / seconds : undefined;
}
