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
  /** The final plan, after sweeps were decided. */
  plan: Plan;
  outcomes: NodeOutcome[];
  seconds: number;
  /** Path of the report, if it could be written. */
  report: string | undefined;
  stopped: StopReason | undefined;
  /** Exit status of the command. */
  status: number;
}

export interface PlanRunOptions {
  /** Plans and selects again after trials of a sweep have ended. */
  again(selected: Selected): Promise<Selected>;
  executor: Executor;
  /** The arguments of `mixtune` on the command line. */
  arguments: readonly string[];
  listener: ExecutionListener;
  /** Called when running nodes were asked to stop. */
  stopping(reason: StopReason): void;
  /** Called when running nodes were asked to save and continue. */
  saving(signal: NodeJS.Signals): void;
  warn: Warn;
}

/** Runs unfinished nodes, passes signals on to them, and writes the report whatever the outcome. */
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

/** Makes Ctrl-Z suspend the running nodes along with this process, and SIGCONT resume them. */
function suspendTogether(running: ReadonlySet<Running>): void {
  process.on('SIGTSTP', () => {
    for (const node of running) node.suspend?.();
    process.kill(process.pid, 'SIGSTOP');
  });
  process.on('SIGCONT', () => {
    for (const node of running) node.resume?.();
  });
}

/** Writes the report. A disk error loses nothing else, because everything it shows is in the folders of the nodes. */
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
 * The exit status of a run of a plan. Failures take precedence; if all failed nodes were refused, the request itself
 * was wrong. A stop counts only if it cut something short, even if the signal was sent only to a child.
 */
export function exitStatusOf(outcomes: readonly NodeOutcome[], stopped: StopReason | undefined): number {
  const failed = outcomes.filter(({ status }) => status === 'failed');
  if (failed.length > 0) return failed.every(({ exitCode }) => exitCode === 2) ? 2 : 1;
  const child = outcomes.find(({ status }) => status === 'stopped');
  if (child) return stopped ? stopStatus(stopped) : (child.exitCode ?? 1);
  return stopped && outcomes.some(({ status }) => status === 'skipped') ? stopStatus(stopped) : 0;
}
