import PQueue from 'p-queue';
import type { ExecutionListener, Executor, NodeOutcome, Running } from './executors/executor.ts';
import { prepareFolder, type Standing, standingOf } from './node-folder.ts';
import { withoutMissing } from './partial.ts';
import type { Plan, PlanNode } from './plan.ts';
import type { SelectedStatus } from './selection.ts';
import type { Stop } from './stop.ts';

/** A plan, and the status of each selected node. */
export interface Selected {
  plan: Plan;
  /** By id. Nodes that are missing here were not selected and are used as they are. */
  statuses: ReadonlyMap<string, SelectedStatus>;
}

export interface ExecutionOptions {
  executor: Executor;
  listener: ExecutionListener;
  /** The nodes that are running, for passing on signals. */
  running: Set<Running>;
  stop: Stop;
  /** Plans again after all trials of a sweep have ended, so that the nodes that waited for it get their keys. */
  again(selected: Selected): Promise<Selected>;
}

/** The status with which a node can start; a node that waits for a sweep cannot. */
type Begin = Exclude<SelectedStatus, 'undecided'>;

/** Statuses whose results can be read. Unselected nodes that a selected node reads were checked to be finished. */
const isThere: ReadonlySet<NodeOutcome['status']> = new Set(['done', 'finished', 'unselected']);

/**
 * Runs the nodes of a plan, each as soon as its inputs exist, and no more at once than the executor allows. If a node
 * fails, the nodes that read its result are skipped, except those that read many, which use the others. Returns the
 * final plan and how each node ended.
 */
export async function execute(
  first: Selected,
  options: ExecutionOptions,
): Promise<{ plan: Plan; outcomes: NodeOutcome[] }> {
  const queue = new PQueue({ concurrency: options.executor.limit });
  const outcomes = new Map<string, Promise<NodeOutcome>>();
  const outcomeOf = async (node: PlanNode, status: Begin | undefined): Promise<NodeOutcome> => {
    const { id } = node.job;
    if (status === undefined) return { id, status: 'unselected' };
    if (status === 'finished' || status === 'diverged') return { id, status };
    const inputs = await Promise.all(node.inputs.map((input) => outcomes.get(input)!));
    const missing = inputs.filter((input) => !isThere.has(input.status));
    if (missing.length === 0) return queue.add(() => runNode(node, status, options));
    const isCutShort = options.stop.reason || missing.some((input) => input.status === 'stopped');
    const ids = missing.map((input) => input.id);
    const partial = isCutShort ? undefined : withoutMissing(node, ids, first.plan);
    if (!partial) return { id, status: 'skipped', reason: whyMissing(missing[0]!) };
    const found = await standingOf(partial.job);
    if (found === 'finished') return { id, status: found };
    options.listener.warned(partial, `goes on without ${ids.join(', ')}`);
    return queue.add(() => runNode(partial, found, options));
  };

  const decidedBefore = new Set<string>();
  for (let selected = first; ; selected = await options.again(selected)) {
    const { plan, statuses } = selected;
    for (const node of plan.nodes) {
      const status = statuses.get(node.job.id);
      if (status !== 'undecided' && !outcomes.has(node.job.id)) outcomes.set(node.job.id, outcomeOf(node, status));
    }
    const trying = plan.sweeps.filter(
      ({ id, trials, decision }) =>
        decision.status === 'open' && !decidedBefore.has(id) && trials.every(({ job }) => outcomes.has(job.id)),
    );
    if (trying.length === 0)
      return { plan, outcomes: [...(await Promise.all(outcomes.values())), ...undecided(selected)] };
    const ended = trying.map(async ({ id, trials }) => {
      for (const { job } of trials) await outcomes.get(job.id);
      return id;
    });
    decidedBefore.add(await Promise.race(ended));
  }
}

const whyMissing = ({ id, status }: NodeOutcome): string => `${id} ${status === 'failed' ? '' : 'was '}${status}`;

/** The sweeps that could not be decided, and the nodes that cannot run for that reason. */
function undecided({ plan, statuses }: Selected): NodeOutcome[] {
  const waiting = plan.nodes.filter(({ job }) => statuses.get(job.id) === 'undecided');
  const failed = plan.sweeps.flatMap(({ id, decision }): NodeOutcome[] =>
    decision.status === 'failed' && waiting.some(({ awaits }) => awaits.includes(id))
      ? [{ id, status: 'failed', error: `${decision.message}\n→ hint: ${decision.hint}` }]
      : [],
  );
  const reasonOf = ({ awaits }: PlanNode): string => {
    const cause = failed.find(({ id }) => awaits.includes(id));
    return cause ? `${cause.id} failed` : `${awaits[0]} is not decided`;
  };
  return [
    ...failed,
    ...waiting.map((node): NodeOutcome => ({ id: node.job.id, status: 'skipped', reason: reasonOf(node) })),
  ];
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
    // From here on the node is in `running` before the next signal can arrive, so a stop is passed on to it.
    if (stop.reason) return { id, status: 'skipped', reason: stop.reason };
    listener.started(node);
    const begun = executor.start(node, listener);
    running.add(begun);
    const outcome = asTrial(node, await begun.outcome.finally(() => running.delete(begun)));
    listener.ended(node, outcome);
    return outcome;
  } catch (error) {
    const failed: NodeOutcome = { id, status: 'failed', error: (error as Error).message };
    listener.ended(node, failed);
    return failed;
  }
}

/** In a sweep, diverging is a result too: it rules out the values that were tried. */
function asTrial({ trial }: PlanNode, outcome: NodeOutcome): NodeOutcome {
  const { error: _, divergence: reason, ...numbers } = outcome;
  return trial && reason !== undefined ? { ...numbers, status: 'diverged', reason } : outcome;
}
