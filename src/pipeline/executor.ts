import PQueue from 'p-queue';
import type { HeldOut, MetricsRecord } from '../runs/records.ts';
import { type ChildOptions, runChild } from './child.ts';
import type { NodeStatus } from './node-folder.ts';
import type { Plan, PlanNode } from './plan.ts';

export interface NodeOutcome {
  id: string;
  /**
   * `finished`: it was there before; `unselected`: not asked for; `skipped`: not begun, because of a stop or of what it
   * reads.
   */
  status: 'done' | 'finished' | 'unselected' | 'failed' | 'stopped' | 'skipped';
  /** Of the child process. */
  exitCode?: number;
  seconds?: number;
  step?: number;
  loss?: number;
  heldOut?: HeldOut;
  /** Why it failed. */
  error?: string;
  /** Why it was skipped. */
  reason?: string;
}

/** Hears of nodes while they run. */
export interface ExecutionListener {
  /** What another config left in the node's folder was renamed to `folder`. */
  keptAside(node: PlanNode, folder: string): void;
  started(node: PlanNode): void;
  record(node: PlanNode, record: MetricsRecord): void;
  /** Something that a person should know at once, and that ends nothing. */
  warned(node: PlanNode, message: string): void;
  ended(node: PlanNode, outcome: NodeOutcome): void;
}

export interface ExecutionOptions extends ChildOptions {
  /** Nodes that run at once. */
  jobs: number;
  /** What was found in the folder of each node that is to be there in the end, by id; others are taken as they are. */
  statuses: ReadonlyMap<string, NodeStatus>;
}

/** Results that can be read: what was not selected was checked to be finished where a selected node reads it. */
const isThere: ReadonlySet<NodeOutcome['status']> = new Set(['done', 'finished', 'unselected']);

/**
 * Runs the nodes of a plan as child processes, each as soon as what it reads is there and at most `jobs` at once. A
 * node that fails takes only those down that read it.
 */
export async function execute(plan: Plan, options: ExecutionOptions): Promise<NodeOutcome[]> {
  const queue = new PQueue({ concurrency: options.jobs });
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
    return queue.add(async (): Promise<NodeOutcome> => {
      if (options.stop.reason) return { id, status: 'skipped', reason: options.stop.reason };
      try {
        return await runChild(node, status, options);
      } catch (error) {
        const failed: NodeOutcome = { id, status: 'failed', error: (error as Error).message };
        options.listener.ended(node, failed);
        return failed;
      }
    });
  };
  for (const node of plan.nodes) outcomes.set(node.job.id, outcomeOf(node));
  return Promise.all(outcomes.values());
}
