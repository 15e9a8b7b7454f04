import PQueue from 'p-queue';
import type { ExecutionListener, Executor, NodeOutcome, Running } from './executors/executor.ts';
import { prepareFolder, type Standing } from './node-folder.ts';
import type { Plan, PlanNode } from './plan.ts';
import type { Stop } from './stop.ts';

export interface ExecutionOptions {
  executor: Executor;
  listener: ExecutionListener;
  /** The nodes that are running; whoever passes on wishes reads it. */
  running: Set<Running>;
  stop: Stop;
  /** What was found in the folder of each node that is to be there in the end, by id; others are taken as they are. */
  statuses: ReadonlyMap<string, Standing>;
}

/** Results that can be read: what was not selected was checked to be finished where a selected node reads it. */
const isThere: ReadonlySet<NodeOutcome['status']> = new Set(['done', 'finished', 'unselected']);

/**
 * Runs the nodes of a plan, each as soon as what it reads is there and no more at once than the executor takes. A node
 * that fails takes only those down that read it.
 */
export async function execute(plan: Plan, options: ExecutionOptions): Promise<NodeOutcome[]> {
  const queue = new PQueue({ concurrency: options.executor.limit });
  const outcomes = new Map<string, Promise<NodeOutcome>>();
  const outcomeOf = async (node: PlanNode): Promise<NodeOutcome> => {
    const { id } = node.job;
    const status = options.statuses.get(id);
    if (status === undefined) return { id, status: 'unselected' };
    if (status === 'finished') return { id, status };
    const inputs = await Promise.all(node.inputs.map((input) => outcomes.get(input)!));
    const missing = inputs.find((input) => !isThere.has(input.status));
    if (missing)
      return {
        id,
        status: 'skipped',
        reason: `${missing.id} ${missing.status === 'failed' ? '' : 'was '}${missing.status}`,
      };
    return queue.add(() => runNode(node, status, options));
  };
  for (const node of plan.nodes) outcomes.set(node.job.id, outcomeOf(node));
  return Promise.all(outcomes.values());
}

async function runNode(
  node: PlanNode,
  found: Standing,
  { executor, listener, running, stop }: ExecutionOptions,
): Promise<NodeOutcome> {
  const { id } = node.job;
  if (stop.reason) return { id, status: 'skipped', reason: stop.reason };
  try {
    const aside = await prepareFolder(node, found);
    if (aside) listener.keptAside(node, aside);
    // A wish that comes from here on finds the node among those that it is passed on to.
    if (stop.reason) return { id, status: 'skipped', reason: stop.reason };
    listener.started(node);
    const begun = executor.start(node, listener);
    running.add(begun);
    const outcome = await begun.outcome.finally(() => running.delete(begun));
    listener.ended(node, outcome);
    return outcome;
  } catch (error) {
    const failed: NodeOutcome = { id, status: 'failed', error: (error as Error).message };
    listener.ended(node, failed);
    return failed;
  }
}
