import { dirname } from 'node:path';
import type { Plan, PlanNode } from '../pipeline/plan.ts';
import { gemmGflops } from '../speed/roofline.ts';
import type { Work } from '../stages/stage.ts';
import { openBackend } from '../tensor/backends/open.ts';

/** How long the nodes will take that know before they start how much they compute. */
export interface Effort {
  byNode: ReadonlyMap<string, { tokens: number; flops: number; seconds: number }>;
  /** What a large matrix product reaches on this machine, measured now, in 10⁹ operations a second. */
  gflops: number;
  /** Rows and columns of that product. */
  size: number;
}

/** Share of the speed of a large product that training steps reach: 0.7 to 0.8 for `71m` on vector registers. */
const shareOfProducts = 0.75;

/** Measures a matrix product (about a second) where a node knows its work; nothing where none does. */
export async function effortOf(plan: Plan): Promise<Effort | undefined> {
  const works = plan.nodes.flatMap((node): [PlanNode, Work][] => {
    const work = workOf(node, plan);
    return work ? [[node, work]] : [];
  });
  if (!works[0]) return undefined;
  const { backend } = await openBackend(works[0][0].job.machine);
  const size = backend.limits.benchmarkSize;
  const gflops = await gemmGflops(backend, size);
  const seconds = ({ flops }: Work) => flops / (1e9 * shareOfProducts * gflops);
  return {
    byNode: new Map(works.map(([{ job }, work]) => [job.id, { ...work, seconds: seconds(work) }])),
    gflops,
    size,
  };
}

function workOf({ stage, config, job }: PlanNode, { nodes }: Plan): Work | undefined {
  const configOf = (directory: string) =>
    nodes.flatMap((node) => (dirname(directory) === node.job.directory ? [node.config] : []));
  const read = Object.entries(job.inputs).map(([key, inputs]) => [
    key,
    inputs.flatMap(({ directory }) => configOf(directory)),
  ]);
  return stage.work?.(config, Object.fromEntries(read));
}

export function describeEffort({ byNode, gflops, size }: Effort): string {
  const speed = `${Math.round(gflops).toLocaleString('en')} GFLOP/s`;
  const seconds = [...byNode.values()].reduce((sum, work) => sum + work.seconds, 0);
  return `Pre-training takes about ${roughly(seconds)} in all, at ${100 * shareOfProducts} % of what a product of ${size}³ reaches now (${speed}). Other stages are not estimated.`;
}

/** Two digits: an estimate knows no more. */
export function roughly(seconds: number): string {
  const [size, unit] = seconds < 60 ? [seconds, 's'] : seconds < 3600 ? [seconds / 60, 'min'] : [seconds / 3600, 'h'];
  return `${Number(size.toPrecision(2)).toLocaleString('en')} ${unit}`;
}
