import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { fileNames } from '../runs/file-names.ts';
import type { Plan, PlanNode } from './plan.ts';

/**
 * A node that reads the results of many others, told to do with those that are there; nothing where it cannot, as it
 * needs one of the missing for itself or all of what a key names. Its keys say what is missing, so that it runs again
 * once that is there.
 */
export function withoutMissing(
  node: PlanNode,
  missing: readonly string[],
  { directory: folder }: Pick<Plan, 'directory'>,
): PlanNode | undefined {
  const { job, stage } = node;
  const gone = new Set(missing.map((id) => join(folder, id, fileNames.final)));
  const inputs = Object.entries(job.inputs).map(([key, named]) => {
    const there = named.filter(({ directory }) => !gone.has(directory));
    const isEnough = there.length === named.length || (stage.inputs[key]?.many && there.length > 0);
    return { key, there, isEnough };
  });
  if (!inputs.every(({ isEnough }) => isEnough)) return undefined;
  const keyWithout = (key: string): string =>
    createHash('sha256')
      .update(JSON.stringify({ key, without: [...missing].sort() }))
      .digest('hex');
  return {
    ...node,
    inputs: node.inputs.filter((id) => !missing.includes(id)),
    job: {
      ...job,
      key: keyWithout(job.key),
      ...(job.work !== undefined && { work: keyWithout(job.work) }),
      inputs: Object.fromEntries(inputs.map(({ key, there }) => [key, there])),
    },
  };
}
