import { WriteError } from '../checkpoint/write-error.ts';
import { writeReport } from '../report/write-report.ts';
import type { Warn } from '../runs/log-file.ts';
import { writePlan } from '../runs/plan-file.ts';
import { execute, type Selected } from './execute.ts';
import type { ExecutionListener, Executor, NodeOutcome, Running } from './executors/executor.ts';
import { requireWritable } from './node-folder.ts';
import { type Plan, planDocument } from './plan.ts';
import { untilWritten } from './retry.ts';
import { listenForStop, type StopReason, stopStatus } from './stop.ts';

export interface PlanRun {
  /** As it is in the end, when sweeps are decided. */
  plan: Plan;
  outcomes: NodeOutcome[];
  seconds: number;
  /** Path of the report, where it could be written. */
  report: string | undefined;
  stopped: StopReason | undefined;
  /** Exit status of the command. */
  status: number;
}

export interface PlanRunOptions {
  /** Plans again, now that trials of a sweep have ended, and selects anew. */
  again(selected: Selected): Promise<Selected>;
  executor: Executor;
  /** What followed `mixtune` on the command line. */
  arguments: readonly string[];
  listener: ExecutionListener;
  /** Hears that running nodes were told to stop. */
  stopping(reason: StopReason): void;
  /** Hears that running nodes were told to save and go on. */
  saving(signal: NodeJS.Signals): void;
  warn: Warn;
}

/** Runs what is not finished, passes on what signals ask for, and writes the report whatever came out. */
export async function runPlan(first: Selected, options: PlanRunOptions): Promise<PlanRun> {
  const { directory } = first.plan;
  await requireWritable(directory);
  const write = (plan: Plan) => writePlan(directory, { ...planDocument(plan), arguments: [...options.arguments] });
  await write(first.plan);
  const begun = performance.now();
  const running = new Set<Running>();
  const stop = listenForStop({
    stopping(reason) {
      for (const node of running) node.stop(reason);
      options.stopping(reason);
    },
    again(reason) {
      for (const node of running) node.kill();
      process.exit(stopStatus(reason));
    },
    saving(signal) {
      for (const node of running) node.save();
      options.saving(signal);
    },
  });
  suspendTogether(running);
  const isHurried = () => stop.reason !== undefined;
  const again = async (before: Selected): Promise<Selected> => {
    const selected = await options.again(before);
    await untilWritten(() => write(selected.plan), options.warn, { isHurried });
    return selected;
  };
  const { plan, outcomes } = await execute(first, { ...options, stop, running, again });
  const report = await writtenReport(directory, options.warn, isHurried);
  const seconds = (performance.now() - begun) / 1000;
  const status = exitStatusOf(outcomes, stop.reason);
  return { plan, outcomes, seconds, report, stopped: stop.reason, status: status === 0 && !report ? 1 : status };
}

/** Ctrl-Z suspends this process with the nodes that run on it, and whatever wakes it wakes them too. */
function suspendTogether(running: ReadonlySet<Running>): void {
  process.on('SIGTSTP', () => {
    for (const node of running) node.suspend?.();
    process.kill(process.pid, 'SIGSTOP');
  });
  process.on('SIGCONT', () => {
    for (const node of running) node.resume?.();
  });
}

/** A report that the disk refuses costs nothing else: all that it shows is in the folders of the nodes. */
async function writtenReport(directory: string, warn: Warn, isHurried: () => boolean): Promise<string | undefined> {
  try {
    return await untilWritten(() => writeReport(directory), warn, { isHurried });
  } catch (error) {
    if (!(error instanceof WriteError)) throw error;
    warn(error.message);
    return undefined;
  }
}

/**
 * Failures come first; nodes that were all refused make the whole request a wrong one. A stop counts only where it cut
 * something short, and one that was sent to a child alone counts as well.
 */
export function exitStatusOf(outcomes: readonly NodeOutcome[], stopped: StopReason | undefined): number {
  const failed = outcomes.filter(({ status }) => status === 'failed');
  if (failed.length > 0) return failed.every(({ exitCode }) => exitCode === 2) ? 2 : 1;
  const child = outcomes.find(({ status }) => status === 'stopped');
  if (child) return stopped ? stopStatus(stopped) : (child.exitCode ?? 1);
  return stopped && outcomes.some(({ status }) => status === 'skipped') ? stopStatus(stopped) : 0;
}
