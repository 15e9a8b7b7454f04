import { resolve } from 'node:path';
import { type Contents, contentsBelow } from '../pipeline/contents.ts';
import type { Standing } from '../pipeline/node-folder.ts';
import { parsePipeline } from '../pipeline/pipeline-file.ts';
import { makePlan, type Plan, planDocument } from '../pipeline/plan.ts';
import { readPipelineText } from '../pipeline/recipes.ts';
import { requirePipelineFolder } from '../pipeline/selection.ts';
import type { Stage } from '../stages/stage.ts';
import { describeEffort, type Effort, roughly } from './plan-effort.ts';
import { table } from './table.ts';

/** The plan of a pipeline as flags ask for it, and what would replace it; everything wrong is a RequestError. */
export async function planOf(
  name: string,
  flags: { set: readonly string[]; scale?: number; out?: string },
  stages: readonly Stage[],
): Promise<{ plan: Plan; contents: Contents; withoutCompiler: string | undefined }> {
  const { text, file } = await readPipelineText(name);
  const { scale } = flags;
  const pipeline = { ...parsePipeline(text, file, flags.set), ...(scale === undefined ? {} : { scale }) };
  const baseDirectory = process.cwd();
  const directory = resolve(flags.out ?? `checkpoints/${pipeline.name}`);
  const contents = contentsBelow(baseDirectory);
  const plan = await makePlan(pipeline, { stages, directory, baseDirectory, contents });
  await requirePipelineFolder(plan);
  return { plan, contents, withoutCompiler: pipeline.withoutCompiler };
}

/** What would run, for people. */
export function planTable(plan: Plan, statuses: ReadonlyMap<string, Standing>, effort?: Effort): string {
  const rows = plan.nodes.map(({ job, inputs }) => {
    const status = statuses.get(job.id);
    const { tokens, seconds } = effort?.byNode.get(job.id) ?? {};
    const estimate = tokens && seconds ? [rounded(tokens), `about ${roughly(seconds)}`] : ['', ''];
    return [
      ...[job.id, job.run, status ? statusText[status] : 'not selected'],
      ...(effort ? estimate : []),
      inputs.join(', '),
    ];
  });
  const head = ['node', 'runs', 'status', ...(effort ? ['tokens', 'time'] : []), 'reads'];
  return [table(head, rows), `in ${plan.directory}`, ...(effort ? [describeEffort(effort)] : [])].join('\n');
}

const rounded = (count: number): string =>
  count.toLocaleString('en', { notation: 'compact', maximumSignificantDigits: 3 });

/** What would run, for programs. */
export function planJson(
  plan: Plan,
  statuses: ReadonlyMap<string, Standing>,
  effort?: Effort,
): Record<string, unknown> {
  const { pipeline, nodes } = planDocument(plan);
  const withStatus = nodes.map((node) => ({
    ...node,
    status: statuses.get(node.id) ?? 'not selected',
    ...effort?.byNode.get(node.id),
  }));
  const gflops = effort ? { gflops: effort.gflops } : {};
  return { pipeline, directory: plan.directory, nodes: withStatus, ...gflops };
}

const statusText: Readonly<Record<Standing, string>> = {
  new: 'to run',
  begun: 'to go on with',
  finished: 'finished',
  superseded: 'to run; the old result is kept',
};
