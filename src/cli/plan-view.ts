import { dirname, resolve } from 'node:path';
import { type Decision, inWords } from '../evaluation/sweep-choice.ts';
import { type Contents, contentsBelow } from '../pipeline/contents.ts';
import { parsePipeline } from '../pipeline/pipeline-file.ts';
import { makePlan, type Plan, type PlanNode, type PlannedSweep, planDocument } from '../pipeline/plan.ts';
import { readPipelineText } from '../pipeline/recipes.ts';
import { requirePipelineFolder, type SelectedStatus } from '../pipeline/selection.ts';
import type { Stage } from '../stages/stage.ts';
import { describeEffort, type Effort, roughly } from './plan-effort.ts';
import { table } from './table.ts';

/**
 * The plan of a pipeline with the given flags, and the pipeline to run instead if there is no compiler.
 * @throws RequestError
 */
export async function planOf(
  name: string,
  flags: { set: readonly string[]; scale?: number; out?: string },
  stages: readonly Stage[],
): Promise<{ plan: Plan; again(): Promise<Plan>; contents: Contents; withoutCompiler: string | undefined }> {
  const { text, file } = await readPipelineText(name);
  const { scale } = flags;
  const pipeline = { ...parsePipeline(text, file, flags.set), ...(scale === undefined ? {} : { scale }) };
  const baseDirectory = process.cwd();
  const directory = resolve(flags.out ?? `checkpoints/${pipeline.name}`);
  const contents = contentsBelow(baseDirectory);
  const again = () => makePlan(pipeline, { stages, directory, baseDirectory, contents });
  const plan = await again();
  await requirePipelineFolder(plan);
  return { plan, again, contents, withoutCompiler: pipeline.withoutCompiler };
}

/** The plan as a table for the user, with all trials of a sweep in one row. */
export function planTable(plan: Plan, statuses: ReadonlyMap<string, SelectedStatus>, effort?: Effort): string {
  const rowOf = ({ job, inputs, awaits }: PlanNode) => {
    const status = statuses.get(job.id);
    const text = status === 'undecided' ? `waits for ${fewOr(awaits, 1, 'sweeps')}` : status && statusText[status];
    return rowWith([job.id, job.run, text ?? 'not selected'], inputs, [job.id], effort);
  };
  const rows = plan.nodes.filter(({ trial }) => !trial).map(rowOf);
  for (const sweep of plan.sweeps.toReversed()) {
    const place = rows.findIndex(([id = '']) => id.startsWith(`${dirname(sweep.id)}/`));
    rows.splice(place, 0, sweepRow(sweep, statuses, effort));
  }
  const head = ['node', 'runs', 'status', ...(effort ? ['tokens', 'time'] : []), 'reads'];
  return [table(head, rows), `in ${plan.directory}`, ...(effort ? [describeEffort(effort)] : [])].join('\n');
}

/** A row for some nodes: their status, their estimated work in total, and what they read. */
function rowWith(
  cells: readonly string[],
  inputs: readonly string[],
  nodes: readonly string[],
  effort: Effort | undefined,
): string[] {
  const works = nodes.flatMap((id) => effort?.byNode.get(id) ?? []);
  const sumOf = (key: 'tokens' | 'seconds') => works.reduce((sum, work) => sum + work[key], 0);
  const [tokens, seconds] = [sumOf('tokens'), sumOf('seconds')];
  const estimate = tokens && seconds ? [rounded(tokens), `about ${roughly(seconds)}`] : ['', ''];
  return [...cells, ...(effort ? estimate : []), fewOr(inputs, 2, 'results')];
}

/** Names as they are, or, of more than a line of the table holds, how many. */
const fewOr = (names: readonly string[], most: number, what: string): string =>
  names.length <= most ? names.join(', ') : `${names.length} ${what}`;

const rounded = (count: number): string =>
  count.toLocaleString('en', { notation: 'compact', maximumSignificantDigits: 3 });

function sweepRow(
  { id, trials, decision }: PlannedSweep,
  statuses: ReadonlyMap<string, SelectedStatus>,
  effort: Effort | undefined,
): string[] {
  const { job } = trials[0]!;
  const inputs = [...new Set(trials.flatMap((trial) => trial.inputs))];
  const ids = trials.map((trial) => trial.job.id);
  const ended = ids.filter((trial) => ['finished', 'diverged'].includes(statuses.get(trial) ?? '')).length;
  const isSelected = ids.some((trial) => statuses.has(trial));
  const open = isSelected ? `${ended > 0 ? `${ended} ended, ` : ''}${trials.length - ended} to run` : 'not selected';
  return rowWith([id, `${trials.length} × ${job.run}`, decisionText(decision) ?? open], inputs, ids, effort);
}

/** What a sweep has come to; nothing while it is not decided. */
export function decisionText(decision: Decision): string | undefined {
  if (decision.status === 'open') return undefined;
  return decision.status === 'chosen' ? `chose ${inWords(decision.values)}` : `failed: ${decision.message}`;
}

/** The plan as JSON for programs. */
export function planJson(
  plan: Plan,
  statuses: ReadonlyMap<string, SelectedStatus>,
  effort?: Effort,
): Record<string, unknown> {
  const { pipeline, nodes, sweeps } = planDocument(plan);
  const withStatus = nodes.map((node) => ({
    ...node,
    status: statuses.get(node.id) ?? 'not selected',
    ...effort?.byNode.get(node.id),
  }));
  const gflops = effort ? { gflops: effort.gflops } : {};
  return {
    pipeline,
    directory: plan.directory,
    nodes: withStatus,
    ...(sweeps.length > 0 ? { sweeps } : {}),
    ...gflops,
  };
}

const statusText: Readonly<Record<Exclude<SelectedStatus, 'undecided'>, string>> = {
  new: 'to run',
  begun: 'to continue',
  finished: 'finished',
  diverged: 'diverged',
  superseded: 'to run; the old result is kept',
};
