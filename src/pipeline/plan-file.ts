import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomically } from '../checkpoint/atomic.ts';
import type { Plan } from './plan.ts';

/** Name of the file by which the folder of a pipeline is known. */
export const planFile = 'plan.json';

/** The plan as plan.json holds it and `--dry-run --json` prints it. */
export function planDocument(plan: Plan): {
  pipeline: string;
  nodes: {
    id: string;
    stage: string;
    run: string;
    variant?: string | undefined;
    seed: number;
    key: string;
    directory: string;
    inputs: string[];
  }[];
} {
  return {
    pipeline: plan.pipeline,
    nodes: plan.nodes.map(({ job: { id, stage, run, variant, seed, key }, directory, inputs }) => ({
      id,
      stage,
      run,
      variant,
      seed,
      key,
      directory,
      inputs,
    })),
  };
}

/** Writes plan.json, with the arguments that `mixtune` was given, so that the report can say how to make it again. */
export async function writePlan(plan: Plan, commandLine: readonly string[]): Promise<void> {
  const { pipeline, nodes } = planDocument(plan);
  const text = JSON.stringify({ pipeline, arguments: commandLine, nodes }, null, 2);
  await mkdir(plan.directory, { recursive: true });
  await writeFileAtomically(join(plan.directory, planFile), `${text}\n`);
}
