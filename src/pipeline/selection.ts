import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { suggestion } from '../config/suggest.ts';
import { type Problem, RequestError } from '../errors.ts';
import { pipelineFileNames } from '../runs/file-names.ts';
import { requireUnlocked } from '../runs/lock.ts';
import { type Standing, standingOf } from './node-folder.ts';
import { freeFolder, outputProblems, shown } from './output-check.ts';
import type { Plan, PlanNode } from './plan.ts';
import { hasDiverged } from './trials.ts';

export interface Selection {
  /** Run only these stages. */
  only?: readonly string[] | undefined;
  /** Run this stage and those that come after it in the plan. */
  startAt?: string | undefined;
}

/** The status of a selected node; `undecided` while it waits for a sweep. */
export type SelectedStatus = Standing | 'diverged' | 'undecided';

/**
 * The status of each selected node, by id. Statuses that are already `known`, as of running nodes, are kept.
 * @throws RequestError for names that are not in the plan, and for results that selected nodes read but that are
 * neither finished nor selected
 */
export async function selectNodes(
  plan: Plan,
  selection: Selection,
  known?: ReadonlyMap<string, SelectedStatus>,
): Promise<Map<string, SelectedStatus>> {
  const stages = [...new Set(plan.nodes.map(({ job }) => job.stage))];
  const asked: [string, readonly string[]][] = [
    ['--only', selection.only ?? []],
    ['--start-at', selection.startAt === undefined ? [] : [selection.startAt]],
  ];
  const unknown = asked.flatMap(([flag, names]) =>
    names
      .filter((name) => !stages.includes(name))
      .map(
        (name): Problem => ({ where: flag, message: `there is no stage \`${name}\``, hint: suggestion(name, stages) }),
      ),
  );
  if (unknown.length > 0) throw new RequestError(unknown, plan.pipeline);

  const from = selection.startAt === undefined ? 0 : stages.indexOf(selection.startAt);
  const wanted = new Set(stages.slice(from).filter((stage) => selection.only?.includes(stage) ?? true));
  const statuses = new Map<string, SelectedStatus>();
  const problems: Problem[] = [];
  for (const node of plan.nodes) {
    const before = known?.get(node.job.id);
    if (wanted.has(node.job.stage)) {
      if (!known) requireUnlocked(node.job.directory);
      statuses.set(node.job.id, before && before !== 'undecided' ? before : await statusOf(node));
    } else if (isReadBy(node, plan, wanted) && (await statusOf(node)) !== 'finished') {
      problems.push({
        where: node.job.id,
        message: 'is read by a selected stage, but is not finished with its current config and data',
        hint: `select \`${node.job.stage}\` as well`,
      });
    }
  }
  if (problems.length > 0) throw new RequestError(problems, plan.pipeline);
  return statuses;
}

async function statusOf(node: PlanNode): Promise<SelectedStatus> {
  if (node.awaits.length > 0) return 'undecided';
  return node.trial && (await hasDiverged(node.job)) ? 'diverged' : standingOf(node.job);
}

/** @throws RequestError if the pipeline's folder overlaps with what the pipeline reads, or contains something else */
export async function requirePipelineFolder(plan: Plan): Promise<void> {
  const problems = await outputProblems(plan);
  const { directory } = plan;
  const entries = existsSync(directory) ? readdirSync(directory) : [];
  if (problems.length === 0 && entries.length > 0 && !existsSync(join(directory, pipelineFileNames.plan))) {
    const hint = `choose another folder, such as --out ${freeFolder(directory)}`;
    problems.push({ where: '--out', message: `${shown(directory)} exists, but is not the folder of a pipeline`, hint });
  }
  if (problems.length > 0) throw new RequestError(problems, plan.pipeline);
}

function isReadBy(node: PlanNode, plan: Plan, stages: ReadonlySet<string>): boolean {
  return plan.nodes.some(({ job, inputs }) => stages.has(job.stage) && inputs.includes(node.job.id));
}
