import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { writeFileAtomically } from '../checkpoint/atomic.ts';
import { RequestError } from '../errors.ts';
import { pipelineFileNames } from './file-names.ts';
import { readJsonFile } from './json-file.ts';

/** A value of a key that a sweep can try. */
export const valueSchema = z.union([z.number(), z.boolean(), z.string().max(60)]);

/** By key, the value of each key that a sweep tries. */
export type Values = Readonly<Record<string, z.infer<typeof valueSchema>>>;

/** What others have published of the setting of a pipeline, to be read beside what is measured here. */
export const publishedSchema = z.strictObject({
  source: z.string().describe('where it is published'),
  stage: z.string().describe('stage after which it was measured'),
  metric: z.string().describe('name of the metric, such as `perplexity`'),
  note: z.string().optional().describe('what is not as here'),
  values: z.record(z.string(), z.number()).describe('by variant'),
});

const planSchema = z.object({
  pipeline: z.string(),
  /** The arguments of `mixtune` on the command line, so that the report can say how to reproduce it. */
  arguments: z.array(z.string()).optional(),
  nodes: z.array(
    z.object({
      id: z.string(),
      stage: z.string(),
      run: z.string(),
      variant: z.string().optional(),
      seed: z.number().optional(),
      key: z.string().optional(),
      /** Relative to the folder of the pipeline. */
      directory: z.string(),
      /** Ids of the nodes whose results this one reads. */
      inputs: z.array(z.string()).default([]),
    }),
  ),
  published: z.array(publishedSchema).default([]),
  sweeps: z
    .array(
      z.object({
        id: z.string(),
        stage: z.string(),
        variant: z.string().optional(),
        metric: z.string(),
        better: z.enum(['higher', 'lower']),
        edge: z.enum(['error', 'accept']),
        /** Keys of the stage that differ in the trials, beside those whose values are tried. */
        budget: z.record(z.string(), z.unknown()),
        trials: z.array(
          z.object({
            id: z.string(),
            seed: z.number(),
            values: z.record(z.string(), valueSchema),
            directory: z.string(),
          }),
        ),
        /** The values that the stage runs with; absent while they are not decided. */
        chosen: z.record(z.string(), valueSchema).optional(),
        /** Why they cannot be decided. */
        problem: z.string().optional(),
      }),
    )
    .default([]),
});

/** The content of plan.json, the file that marks a folder as a pipeline's. */
export type PlanFile = z.infer<typeof planSchema>;

/** Writes plan.json into the folder of a pipeline, which is created if it does not exist. */
export async function writePlan(directory: string, plan: z.input<typeof planSchema>): Promise<void> {
  await mkdir(directory, { recursive: true });
  await writeFileAtomically(join(directory, pipelineFileNames.plan), `${JSON.stringify(plan, null, 2)}\n`);
}

/** @throws RequestError if the folder has no plan, or one that is not valid */
export async function readPlan(directory: string): Promise<PlanFile> {
  const plan = await readJsonFile(join(directory, pipelineFileNames.plan), () => planSchema);
  if (plan) return plan;
  throw new RequestError({
    where: directory,
    message: `there is no ${pipelineFileNames.plan}`,
    hint: 'give the folder that `mixtune run` wrote, such as checkpoints/quickstart',
  });
}
